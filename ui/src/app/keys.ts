// Keys without a modifier, as lists have them in mail programs. Whoever needs them for something else (speech input,
// screen readers) switches them off in the dialog that `?` opens.
import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Key {
  /** One key, or two after one another: `j`, `g i`. */
  keys: string;
  label: string;
  run: () => void;
}

interface Scope {
  name: string;
  keys: Key[];
}

const scopes: Scope[] = [];
const listeners = new Set<() => void>();
let shown: readonly Scope[] = [];
const STORED = "keyward-keys";

function changed() {
  shown = [...scopes];
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function keysOn(): boolean {
  return localStorage.getItem(STORED) !== "off";
}

export function switchKeys(on: boolean) {
  localStorage.setItem(STORED, on ? "on" : "off");
  changed();
}

/** Every key that works at the moment, by what it belongs to. */
export function useScopes(): readonly Scope[] {
  return useSyncExternalStore(subscribe, () => shown);
}

/** Keys that work while the component is there. */
export function useKeys(name: string, keys: Key[]) {
  const latest = useRef(keys);
  latest.current = keys;
  const shape = keys.map((key) => `${key.keys}:${key.label}`).join("|");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape stands for the keys.
  useEffect(() => {
    const scope: Scope = {
      name,
      keys: latest.current.map(({ keys, label }, index) => ({
        keys,
        label,
        run: () => latest.current[index]?.run(),
      })),
    };
    scopes.push(scope);
    changed();
    return () => {
      scopes.splice(scopes.indexOf(scope), 1);
      changed();
    };
  }, [name, shape]);
}

/** The second key of two comes within this time. */
const PAIR_MS = 1_200;

/** What lies over the page has the keys for itself. */
const OVER = '[role="dialog"], [role="menu"], [role="listbox"]';

let first: { key: string; at: number } | undefined;

/** Where letters are text. A tick or a choice takes none. */
function typing(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return !/^(checkbox|radio)$/.test(target.type);
  return target instanceof HTMLElement && (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName));
}

/** `Enter` on something that can be pressed belongs to it. */
function pressed(target: EventTarget | null, key: string): boolean {
  return key === "Enter" && target instanceof Element && target.closest("a, button, [role=button]") !== null;
}

export function onKey(event: KeyboardEvent) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
  if (typing(event.target) || pressed(event.target, event.key) || document.querySelector(OVER)) return;
  if (!keysOn() && event.key !== "?") return;
  const pair = first && event.timeStamp - first.at < PAIR_MS ? `${first.key} ${event.key}` : undefined;
  first = undefined;
  for (const scope of [...scopes].reverse()) {
    const found = scope.keys.find(({ keys }) => keys === pair) ?? scope.keys.find(({ keys }) => keys === event.key);
    if (found) {
      event.preventDefault();
      found.run();
      return;
    }
  }
  if (scopes.some(({ keys }) => keys.some((key) => key.keys.startsWith(`${event.key} `)))) {
    first = { key: event.key, at: event.timeStamp };
  }
}
