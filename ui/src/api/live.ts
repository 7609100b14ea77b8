// The gateway's event stream: tells that something changed, never what; pages ask again for what they show.
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { address } from "./client";

/** `live`: told at once. `polling`: asked for every few seconds. `lost`: no answer. */
export type LiveState = "live" | "polling" | "lost";

const BACK_OFF_FIRST_MS = 1_000;
const BACK_OFF_MAX_MS = 60_000;

let state: LiveState = "polling";
const listeners = new Set<() => void>();

export function setLive(next: LiveState) {
  if (state === next) return;
  state = next;
  for (const listener of listeners) listener();
}

export function useLive(): LiveState {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}

/** How often pages ask while nothing tells them. */
export function pollEvery(): number | false {
  return state === "live" ? 30_000 : 4_000;
}

/** Listens until the returned function is called. */
export function listen(client: QueryClient): () => void {
  let wait = BACK_OFF_FIRST_MS;
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    source = new EventSource(address("api/v1/events"));
    source.addEventListener("hello", () => {
      wait = BACK_OFF_FIRST_MS;
      setLive("live");
      // What changed while nobody listened.
      void client.invalidateQueries({ queryKey: ["approvals"] });
    });
    const changed = () => void client.invalidateQueries({ queryKey: ["approvals"] });
    source.addEventListener("approval", changed);
    source.addEventListener("missed", changed);
    source.onerror = () => {
      source?.close();
      if (state === "live") setLive("polling");
      timer = setTimeout(open, wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, BACK_OFF_MAX_MS);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
