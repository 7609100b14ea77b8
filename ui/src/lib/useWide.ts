import { useSyncExternalStore } from "react";

const query = window.matchMedia("(min-width: 761px)");

function subscribe(listener: () => void) {
  query.addEventListener("change", listener);
  return () => query.removeEventListener("change", listener);
}

/** Whether list and detail stand side by side; as in styles/inbox.css. */
export function useWide(): boolean {
  return useSyncExternalStore(subscribe, () => query.matches);
}
