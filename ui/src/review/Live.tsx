import { Button } from "@mantine/core";
import { useCallback, useEffect, useRef, useState } from "react";
import { stream } from "../api/client";
import type { ApprovalView } from "../api/types";
import { eventReader, type StreamEvent } from "../lib/events";
import { Viewer } from "../parts/Viewer";

/** How much of the end of what passed is kept for the eye, in characters. */
const KEPT_CHARS = 256 * 1024;

interface Seen {
  state: string;
  end: string;
  watchers: number;
  text: string;
  /** What is not in `text` any more, or never came: the gateway's record has it. */
  missing: boolean;
}

const NOTHING: Seen = { state: "waiting", end: "", watchers: 0, text: "", missing: false };

/** A call that runs only while somebody watches: watching it, which ends with this page. */
export function Live({ approval }: { approval: ApprovalView }) {
  const [seen, setSeen] = useState<Seen>();
  const [trouble, setTrouble] = useState<string>();
  const running = useRef<AbortController>(undefined);
  const stop = useCallback(() => {
    running.current?.abort();
    running.current = undefined;
    setSeen((old) => old && { ...old, state: old.state === "ended" ? "ended" : "left" });
  }, []);
  useEffect(() => () => running.current?.abort(), []);

  const watch = async () => {
    const control = new AbortController();
    running.current = control;
    setTrouble(undefined);
    setSeen(NOTHING);
    let ended = false;
    try {
      const events = eventReader();
      for await (const piece of stream(`api/v1/approvals/${approval.id}/watch`, {}, control.signal)) {
        const found = events(piece);
        ended ||= found.some(({ name, data }) => name === "state" && data.state === "ended");
        if (found.length > 0) setSeen((old) => found.reduce(after, old ?? NOTHING));
      }
      if (!ended && !control.signal.aborted) setTrouble("You do not watch any more: the gateway ended the stream.");
    } catch (error) {
      if (control.signal.aborted) return;
      setTrouble(error instanceof Error ? error.message : "The stream broke off; you do not watch any more.");
    }
    if (running.current === control) running.current = undefined;
    if (!ended) setSeen((old) => old && { ...old, state: "left" });
  };

  const over = !["pending", "approved", "consumed"].includes(approval.state);
  if (over || !approval.may_i_decide) return seen ? <Shown seen={seen} /> : null;
  const watching = seen !== undefined && seen.state !== "left" && seen.state !== "ended";
  return (
    <section className="section" aria-label="Watch live">
      <h3>
        Watch live <small>it runs only while somebody does, and stands still for {approval.moderated} s at most</small>
      </h3>
      <p>
        {watching ? (
          <Button variant="default" onClick={stop}>
            Stop watching
          </Button>
        ) : (
          <Button variant="default" onClick={() => void watch()}>
            Watch live
          </Button>
        )}
      </p>
      {trouble && <p role="alert">{trouble}</p>}
      {seen && <Shown seen={seen} />}
    </section>
  );
}

function Shown({ seen }: { seen: Seen }) {
  return (
    <>
      <p role="status">{standing(seen)}</p>
      {seen.text && (
        <Viewer
          text={seen.text}
          label="What passed, as the caller gets it"
          bar={seen.missing ? <span>The beginning, or a part, is in the session's record only.</span> : undefined}
        />
      )}
    </>
  );
}

function standing({ state, end, watchers }: Seen): string {
  const people = watchers === 1 ? "You watch" : `${watchers} watch`;
  switch (state) {
    case "waiting":
      return "Nothing was sent yet.";
    case "running":
      return `It runs. ${people}.`;
    case "paused":
      return "It stands still: nobody keeps up with it.";
    case "ended":
      return `It is over: ${end.replaceAll("_", " ")}.`;
    default:
      return "You do not watch any more.";
  }
}

function after(seen: Seen, { name, data }: StreamEvent): Seen {
  switch (name) {
    case "state":
      return {
        ...seen,
        state: String(data.state),
        end: typeof data.end === "string" ? data.end : "",
        watchers: Number(data.watchers),
      };
    case "text": {
      const text = seen.text + String(data.text);
      const cut = text.length > KEPT_CHARS;
      return { ...seen, text: cut ? text.slice(-KEPT_CHARS) : text, missing: seen.missing || cut };
    }
    case "bytes":
      return { ...seen, text: `${seen.text}⟨bytes that are no text⟩\n` };
    case "missed":
      return { ...seen, missing: true };
    default:
      return seen;
  }
}
