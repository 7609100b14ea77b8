import { useNow } from "../app/now";
import { countdown, shortSpan, span } from "../lib/words";

/** Less than this is little time left. */
const SOON_MS = 120_000;

/** Time left until something ends, counting down. */
export function Left({ until, long }: { until: string; long?: boolean }) {
  const left = Date.parse(until) - useNow();
  if (left <= 0) return <span className="left over">over</span>;
  return (
    <time className={left < SOON_MS ? "left soon" : "left"} dateTime={until} title={`until ${local(until)}`}>
      {countdown(left)}
      {long ? " left" : <span className="unseen"> left</span>}
    </time>
  );
}

/** How long ago something was. */
export function Ago({ at }: { at: string }) {
  const ago = useNow() - Date.parse(at);
  return (
    <time dateTime={at} title={local(at)}>
      {ago < 5_000 ? "just now" : `${shortSpan(ago)} ago`}
    </time>
  );
}

/** A moment in the reader's own time zone, to the second. */
export function Moment({ at }: { at: string }) {
  return (
    <time dateTime={at} title={at}>
      {local(at)}
    </time>
  );
}

export function Lasted({ from, to }: { from: string; to: string }) {
  const ms = Date.parse(to) - Date.parse(from);
  return <>{ms < 1000 ? `${ms} ms` : ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : span(ms)}</>;
}

const FORMAT = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export function local(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? at : FORMAT.format(date);
}
