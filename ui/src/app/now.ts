// One clock for all ages and countdowns, ticking once a second while anybody looks at it.
import { useSyncExternalStore } from "react";
import { serverNow } from "../api/client";

let now = serverNow();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void) {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = serverNow();
    for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The gateway's time in milliseconds, at most a second old. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
