// Makes what callers wrote safe to look at: everything that a reader cannot see, or that would lie about the order or the
// script of characters, becomes a marker that says what it is (catalogue 201, 202). Nothing is dropped: the raw texts of all
// pieces together are the text.

export type Kind = "text" | "hidden" | "bidi" | "control" | "ansi" | "space" | "lookalike" | "masked";

export interface Segment {
  kind: Kind;
  /** The characters themselves. */
  raw: string;
  /** What is shown; for text the characters. */
  shown: string;
  /** What it is, in words. */
  title?: string;
}

const BIDI = "\\u061C\\u200E\\u200F\\u202A-\\u202E\\u2066-\\u2069";
const ANSI =
  "\\u001B\\[[0-?]*[ -/]*[@-~]|\\u001B\\][^\\u0007\\u001B\\n]{0,512}(?:\\u0007|\\u001B\\\\)|\\u009B[0-?]*[ -/]*[@-~]";
const MASKED = "\\[REDACTED:[A-Za-z0-9_.:*/ -]{1,80}\\]";
/** Characters without a shape of their own, blanks that are no space, private and unassigned ones. */
const UNSEEN = "\\p{Cc}\\p{Cf}\\p{Co}\\p{Cn}\\p{Cs}\\p{Default_Ignorable_Code_Point}\\p{Zl}\\p{Zp}\\u2800";
/** More marks on one letter than any script needs. */
const STACK = "\\p{M}{5,}";
/** More spaces in a row than a reader counts: what follows would be out of sight. */
const GAP = " {33,}";
/** Line ends written as JSON writes them, so many that what follows would be out of sight. */
const ESCAPED_GAP = "(?:\\\\[nrt]){9,}";
const ODD = new RegExp(`${ANSI}|${MASKED}|${STACK}|${GAP}|${ESCAPED_GAP}|(?![\\n\\t ])[${UNSEEN}\\p{Zs}]`, "gu");
const WORD = /[\p{L}\p{M}\p{N}_-]+/gu;
const ONLY_BIDI = new RegExp(`^[${BIDI}]$`, "u");
/** Letters of other scripts that look like Latin ones. */
const LOOKALIKE = /^[аеорсухіјѕԁһӏԛԝАВЕКМНОРСТХІЈЅαορνικτυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ\p{M}\p{N}_-]+$/u;
const LATIN = /\p{Script=Latin}/u;
const CONFUSED =
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Lisu}]/u;

const NAMES: Record<number, string> = {
  0: "NULL",
  7: "BELL",
  8: "BACKSPACE",
  13: "CARRIAGE RETURN",
  27: "ESCAPE",
  127: "DELETE",
  160: "NO-BREAK SPACE",
  173: "SOFT HYPHEN",
  1564: "ARABIC LETTER MARK",
  8203: "ZERO WIDTH SPACE",
  8204: "ZERO WIDTH NON-JOINER",
  8205: "ZERO WIDTH JOINER",
  8206: "LEFT-TO-RIGHT MARK",
  8207: "RIGHT-TO-LEFT MARK",
  8232: "LINE SEPARATOR",
  8233: "PARAGRAPH SEPARATOR",
  8234: "LEFT-TO-RIGHT EMBEDDING",
  8235: "RIGHT-TO-LEFT EMBEDDING",
  8236: "POP DIRECTIONAL FORMATTING",
  8237: "LEFT-TO-RIGHT OVERRIDE",
  8238: "RIGHT-TO-LEFT OVERRIDE",
  8288: "WORD JOINER",
  8294: "LEFT-TO-RIGHT ISOLATE",
  8295: "RIGHT-TO-LEFT ISOLATE",
  8296: "FIRST STRONG ISOLATE",
  8297: "POP DIRECTIONAL ISOLATE",
  65279: "BYTE ORDER MARK",
  65533: "REPLACEMENT CHARACTER: the bytes here are no UTF-8",
};

/** `U+202E` and its name, where it is a well-known one. */
function named(char: string): { code: string; title: string } {
  const point = char.codePointAt(0) ?? 0;
  const code = `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
  return { code, title: `${code} ${NAMES[point] ?? "a character that cannot be seen"}` };
}

function odd(raw: string): Segment {
  if (raw.startsWith("[REDACTED:")) {
    const title = "A value that Keyward masked, or text that says so: the caller could have written the same.";
    return { kind: "masked", raw, shown: raw.slice("[REDACTED:".length, -1), title };
  }
  if (raw.startsWith("\\")) {
    const shown = `${(raw.length / 2).toLocaleString("en")} × \\n`;
    return { kind: "space", raw, shown, title: "Line ends as JSON writes them" };
  }
  if (raw.startsWith("  ")) return { kind: "space", raw, shown: `${raw.length} spaces`, title: "A run of spaces" };
  if (raw.length > 1 && (raw.startsWith("\u001B") || raw.startsWith("\u009B"))) {
    return { kind: "ansi", raw, shown: `ESC${raw.replace(/[\p{Cc}]/gu, "")}`, title: "A terminal control sequence" };
  }
  if (/^\p{M}{2,}/u.test(raw)) {
    return { kind: "hidden", raw, shown: `${[...raw].length} marks`, title: "Marks stacked on one letter" };
  }
  const { code, title } = named(raw);
  if (ONLY_BIDI.test(raw))
    return { kind: "bidi", raw, shown: code, title: `${title}: changes the order of what is shown` };
  if (/^\p{Cc}$/u.test(raw)) return { kind: "control", raw, shown: code, title };
  if (/^\p{Zs}$/u.test(raw)) return { kind: "space", raw, shown: code, title };
  return { kind: "hidden", raw, shown: code, title };
}

/** Cuts words that mix scripts, or imitate Latin in a Latin text, out of plain text. */
function words(text: string, latin: boolean, out: Segment[]) {
  let from = 0;
  const plain = (to: number) => {
    if (to > from) out.push({ kind: "text", raw: text.slice(from, to), shown: text.slice(from, to) });
  };
  // Most text is ASCII, and has nothing to confuse.
  if (/[^\0-\u02FF]/.test(text)) {
    for (const match of text.matchAll(WORD)) {
      const title = suspicious(match[0], latin);
      if (!title) continue;
      plain(match.index);
      out.push({ kind: "lookalike", raw: match[0], shown: match[0], title });
      from = match.index + match[0].length;
    }
  }
  plain(text.length);
}

function suspicious(word: string, latin: boolean): string | undefined {
  if (!/[^\0-\u02FF]/.test(word)) return undefined;
  if (LATIN.test(word) && CONFUSED.test(word)) return "Letters of more than one script in one word";
  if (/^[\0-\u007F]+$/.test(word.normalize("NFKC"))) return `Styled letters that read as “${word.normalize("NFKC")}”`;
  if (latin && CONFUSED.test(word) && LOOKALIKE.test(word))
    return "Letters of another script that look like Latin ones";
  return undefined;
}

/** The text as pieces to show. */
export function visible(text: string): Segment[] {
  const out: Segment[] = [];
  const latin = LATIN.test(text);
  let from = 0;
  for (const match of text.matchAll(ODD)) {
    if (match.index > from) words(text.slice(from, match.index), latin, out);
    out.push(odd(match[0]));
    from = match.index + match[0].length;
  }
  if (from < text.length) words(text.slice(from), latin, out);
  return out;
}

/** What is unusual in a text, counted, for one line above it. */
export function oddities(segments: Segment[]): { label: string; count: number }[] {
  const labels: Partial<Record<Kind, string>> = {
    bidi: "direction controls",
    hidden: "invisible characters",
    control: "control characters",
    ansi: "terminal sequences",
    lookalike: "look-alike words",
  };
  const counts = new Map<string, number>();
  for (const { kind } of segments) {
    const label = labels[kind];
    if (label) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].map(([label, count]) => ({ label, count }));
}
