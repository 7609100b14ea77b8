// Our own few drawings, 16 by 16, so that none has to be fetched.
const PATHS = {
  mark: "M8 1 2 3.2v4.4c0 3.6 2.5 6.3 6 7.4 3.5-1.1 6-3.8 6-7.4V3.2zM8 5.2a1.7 1.7 0 0 1 .8 3.2l.5 2.6H6.7l.5-2.6A1.7 1.7 0 0 1 8 5.2z",
  inbox: "M2.5 9 4 3h8l1.5 6v4h-11zM2.5 9h3.2l.8 1.5h3l.8-1.5h3.2",
  sessions: "M3 3h10v10H3zM3 6.3h10M6 9h4M6 11h2.5",
  connections:
    "M6.5 9.5 9.5 6.5M7 5l1.6-1.6a2.5 2.5 0 0 1 3.6 0 2.5 2.5 0 0 1 0 3.6L10.6 8.6M9 11l-1.6 1.6a2.5 2.5 0 0 1-3.6 0 2.5 2.5 0 0 1 0-3.6L5.4 7.4",
  policies: "M8 2v11M4 13h8M3 5h10M3 5l-1.5 4h3zM13 5l-1.5 4h3z",
  health: "M1.5 8.5h3l1.5-4 3 7.5 1.8-5 .8 1.5h3",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  check: "M3 8.5 6.5 12 13 4.5",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  back: "M10 3 5 8l5 5",
  next: "m6 3 5 5-5 5",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5l3 3",
  clock: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 4.8V8l2.2 1.8",
  warn: "M8 2.5 14 13H2zM8 6.5v3M8 11.3h.01",
  close: "m4 4 8 8M12 4l-8 8",
  bell: "M4 11V7a4 4 0 0 1 8 0v4l1 1H3zM7 14h2",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  key: "M10 2.5a3.5 3.5 0 0 0-3.3 4.7L2.5 11.5v2h2.5v-1.5h1.5v-1.5L8.8 9.3A3.5 3.5 0 1 0 10 2.5M11 5h.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" data-icon={name} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
