// Lays pieces out in rows of bounded length, so that a body of any size is a list of which only what is in sight is drawn.
import { type Segment, visible } from "./visible";

export interface Row {
  /** Number of the line, from 1; none where a long line goes on. */
  line?: number;
  segments: Segment[];
  /** Lines that stand for themselves alone: so many empty ones. */
  blank?: number;
}

/** Characters of a row; longer lines go on in the next row. */
export const ROW_CHARS_MAX = 400;
/** Empty lines in a row that are shown as they are. */
const BLANK_MAX = 3;

/** Rows of a text; all segments of all rows, joined, are the text without its line ends. */
export function rows(text: string): Row[] {
  const out: Row[] = [];
  const lines = text.split("\n");
  for (let index = 0; index < lines.length; index++) {
    let end = index;
    while (end < lines.length && lines[end] === "") end++;
    if (end - index > BLANK_MAX) {
      out.push({ line: index + 1, segments: [], blank: end - index });
      index = end - 1;
      continue;
    }
    wrap(lines[index] ?? "", index + 1, out);
  }
  return out;
}

function wrap(text: string, line: number, out: Row[]) {
  let row: Row = { line, segments: [] };
  let room = ROW_CHARS_MAX;
  const next = () => {
    out.push(row);
    row = { segments: [] };
    room = ROW_CHARS_MAX;
  };
  for (const segment of visible(text)) {
    if (segment.kind !== "text") {
      if (segment.shown.length > room) next();
      row.segments.push(segment);
      room -= segment.shown.length;
      continue;
    }
    let rest = segment.raw;
    while (rest.length > room) {
      const cut = between(rest, room);
      if (cut > 0) row.segments.push({ kind: "text", raw: rest.slice(0, cut), shown: rest.slice(0, cut) });
      rest = rest.slice(cut);
      next();
    }
    if (rest) row.segments.push({ kind: "text", raw: rest, shown: rest });
    room -= rest.length;
  }
  out.push(row);
}

/** The last place at or before `at` that does not part a character from its second half. */
function between(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return at > 0 && code >= 0xdc00 && code <= 0xdfff ? at - 1 : Math.max(at, 0);
}
