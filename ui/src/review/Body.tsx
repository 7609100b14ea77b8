import { SegmentedControl } from "@mantine/core";
import { useMemo, useState } from "react";
import type { ApprovalView, HeaderView } from "../api/types";
import { pretty } from "../lib/json";
import { size } from "../lib/words";
import { Diff } from "../parts/Diff";
import { Ago } from "../parts/Time";
import { Viewer } from "../parts/Viewer";
import { Visible } from "../parts/Visible";

type Mode = "exact" | "laid out" | "changes";

/** The request's headers and body: the exact bytes first; set out or compared only on request. */
export function Body({ approval }: { approval: ApprovalView }) {
  const { request, similar } = approval;
  const [mode, setMode] = useState<Mode>("exact");
  const set = useMemo(() => pretty(request.body), [request.body]);
  const modes: Mode[] = ["exact", ...(set ? (["laid out"] as const) : []), ...(similar ? (["changes"] as const) : [])];
  const length = <span>{size(request.body_bytes)}</span>;
  const switcher = modes.length > 1 && (
    <SegmentedControl
      size="xs"
      aria-label="How the body is shown"
      data={modes.map((value) => ({ value, label: value[0]?.toUpperCase() + value.slice(1) }))}
      value={mode}
      onChange={(value) => setMode(value as Mode)}
    />
  );
  const bar = (
    <>
      {switcher}
      {length}
    </>
  );
  return (
    <section className="section" aria-label="Body">
      <h3>
        Body <small>as it will be sent, with secrets masked</small>
      </h3>
      {request.body_bytes === 0 ? (
        <div className="viewer">
          <Headers headers={request.headers} />
          <p className="ends">The request has no body.</p>
        </div>
      ) : mode === "changes" && similar ? (
        <div className="viewer">
          <div className="bar">
            {bar}
            <span className="grow" />
            <span>
              against the call approved <Ago at={similar.decided_at} />, laid out over lines
            </span>
          </div>
          <Diff
            before={comparable(similar.request.headers, similar.request.body)}
            after={comparable(request.headers, request.body)}
            label="Difference to the last approved call like this"
          />
        </div>
      ) : (
        <>
          {request.headers.length > 0 && (
            <div className="viewer headersbox">
              <Headers headers={request.headers} />
            </div>
          )}
          <Viewer
            key={mode}
            text={mode === "laid out" && set ? set : request.body}
            label="The request's body"
            bar={bar}
            missing={request.complete ? undefined : unseen(approval)}
          />
        </>
      )}
    </section>
  );
}

/** How much of a body nobody can see here. */
export function unseen({ request }: ApprovalView): string {
  const shown = new TextEncoder().encode(request.body).length;
  return `Keyward keeps the beginning of a long body for review: ${size(shown, false)} of ${size(request.body_bytes)}. The digest covers all of it.`;
}

function comparable(headers: HeaderView[], body: string): string {
  return [...headers.map(({ name, value }) => `${name}: ${value}`), "", pretty(body) ?? body].join("\n");
}

function Headers({ headers }: { headers: HeaderView[] }) {
  if (headers.length === 0) return null;
  return (
    <dl className="headers">
      {headers.map(({ name, value }, index) => (
        <div key={index} className="contents">
          <dt>
            <Visible text={name} />
          </dt>
          <dd>
            <Visible text={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
