// The difference of two texts, line by line.

export type Change = "same" | "added" | "removed";

export interface DiffLine {
  change: Change;
  text: string;
}

/** Cells of the table that the longest common run is looked for in; beyond, the middle counts as replaced. */
const CELLS_MAX = 4_000_000;

export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const line = (change: Change) => (text: string) => ({ change, text });
  return [
    ...a.slice(0, head).map(line("same")),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(line("same")),
  ];
}

function middle(a: string[], b: string[]): DiffLine[] {
  const out: DiffLine[] = [];
  const width = b.length + 1;
  if (a.length * b.length > CELLS_MAX) {
    return [
      ...a.map((text) => ({ change: "removed" as const, text })),
      ...b.map((text) => ({ change: "added" as const, text })),
    ];
  }
  // common[i * width + j]: lines in common of a from i on and b from j on.
  const common = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push({ change: "same", text: a[i] ?? "" });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      out.push({ change: "removed", text: a[i++] ?? "" });
    } else {
      out.push({ change: "added", text: b[j++] ?? "" });
    }
  }
  return out;
}

export interface Hunk {
  /** Lines that are the same and left out before this one. */
  skipped: number;
  lines: DiffLine[];
}

/** Only what changed, with `context` lines around it. */
export function hunks(lines: DiffLine[], context = 3): Hunk[] {
  const near = lines.map(() => false);
  lines.forEach((line, index) => {
    if (line.change === "same") return;
    for (let k = Math.max(0, index - context); k <= Math.min(lines.length - 1, index + context); k++) near[k] = true;
  });
  const out: Hunk[] = [];
  let skipped = 0;
  lines.forEach((line, index) => {
    if (!near[index]) {
      skipped++;
      return;
    }
    if (!near[index - 1] || out.length === 0) out.push({ skipped, lines: [] });
    out.at(-1)?.lines.push(line);
    skipped = 0;
  });
  return out;
}
