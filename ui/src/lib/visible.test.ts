import { describe, expect, it } from "vitest";
import { rows } from "./rows";
import { type Kind, oddities, visible } from "./visible";

const kinds = (text: string): Kind[] => visible(text).map(({ kind }) => kind);
const shown = (text: string) =>
  visible(text)
    .map(({ shown }) => shown)
    .join("|");
const odd = (text: string) => visible(text).filter(({ kind }) => kind !== "text");

describe("visible text (catalogue 201, 202)", () => {
  it("leaves plain text of any script alone", () => {
    for (const text of [
      "",
      "hello, world\n\tindented",
      "naïve café",
      "Привет, мир",
      "日本語のテキスト",
      "مرحبا",
      "a - b 😀 ok",
    ]) {
      expect(odd(text), text).toEqual([]);
    }
  });

  it("names direction controls", () => {
    expect(shown("run \u202Egpj.exe\u202C now")).toBe("run |U+202E|gpj.exe|U+202C| now");
    for (const char of "\u061C\u200E\u200F\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069") {
      expect(kinds(`a${char}b`), char.codePointAt(0)?.toString(16)).toEqual(["text", "bidi", "text"]);
    }
  });

  it("shows what has no shape of its own", () => {
    const unseen =
      "\u200B\u200C\u200D\u2060\uFEFF\u00AD\u034F\u115F\u3164\uFFA0\u180E\u2061\uFE0F\u{E0041}\u{E0100}\uE000\u2028\u2029\u2800\uFFFE";
    for (const char of unseen) expect(odd(`a${char}b`).length, char.codePointAt(0)?.toString(16)).toBe(1);
    for (const char of "\u00A0\u2003\u3000") expect(kinds(`a${char}b`)[1]).toBe("space");
  });

  it("shows control characters, but not line ends and tabs", () => {
    for (const char of "\0\u0007\b\v\f\r\u001B\u007F\u0085")
      expect(kinds(`a${char}b`)[1], JSON.stringify(char)).toBe("control");
    expect(odd("a\n\tb")).toEqual([]);
  });

  it("takes a terminal sequence as one", () => {
    expect(shown("\u001B[31mred\u001B[0m")).toBe("ESC[31m|red|ESC[0m");
    expect(kinds("\u001B]8;;https://evil.example\u0007link")).toEqual(["ansi", "text"]);
    expect(kinds("\u009B2J")).toEqual(["ansi"]);
  });

  it("underlines words that mix scripts or imitate Latin", () => {
    for (const word of ["p\u0430ypal", "\u0391dmin", "\u{1D41A}\u{1D41D}\u{1D426}in", "\uFF41dmin"]) {
      expect(
        odd(`the ${word} account`).map(({ kind, raw }) => [kind, raw]),
        word,
      ).toEqual([["lookalike", word]]);
    }
    // Cyrillic alone that reads as "copper" would: only in a text of Latin letters.
    expect(kinds("the \u0441\u043E\u0440 came")[1]).toBe("lookalike");
    expect(odd("\u0441\u043E\u0440 \u0438 \u043F\u044B\u043B\u044C")).toEqual([]);
  });

  it("folds what pushes the rest out of sight", () => {
    expect(shown(`a${" ".repeat(2000)}b`)).toBe("a|2000 spaces|b");
    expect(shown(`a${"\\n".repeat(500)}b`)).toBe("a|500 × \\n|b");
    expect(odd("\\n\\n and     five spaces")).toEqual([]);
    expect(odd(`z${"\u0301".repeat(40)}`)[0]?.shown).toBe("40 marks");
  });

  it("makes masked values chips, and says that they may be imitated", () => {
    const [chip] = odd("key [REDACTED:github_pat] here");
    expect(chip).toMatchObject({ kind: "masked", shown: "github_pat" });
    expect(chip?.title).toContain("could have written the same");
    expect(odd("[REDACTED:payment_card:*6467] [REDACTED:a\nb]")).toHaveLength(1);
  });

  it("drops nothing, whatever comes", () => {
    const parts = [
      "a",
      " ",
      "\n",
      "\u202E",
      "\u200B",
      "\u001B[",
      "\u001B[1m",
      "[REDACTED:x]",
      "p\u0430y",
      "\u{1F600}",
      "\uD800",
      "\0",
      " ".repeat(50),
      "\\n".repeat(12),
      "\u0301".repeat(9),
    ];
    let seed = 7;
    const next = () => (seed = (seed * 48271) % 2147483647);
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: 1 + (next() % 40) }, () => parts[next() % parts.length]).join("");
      expect(
        visible(text)
          .map(({ raw }) => raw)
          .join(""),
      ).toBe(text);
      const lines: string[] = [];
      for (const row of rows(text)) {
        const raw = row.blank ? "\n".repeat(row.blank - 1) : row.segments.map((segment) => segment.raw).join("");
        if (row.line === undefined) lines.push(`${lines.pop()}${raw}`);
        else lines.push(raw);
      }
      expect(lines.join("\n")).toBe(text);
    }
  });

  it("counts what is odd", () => {
    expect(oddities(visible("\u202E\u202C\u200B\0"))).toEqual([
      { label: "direction controls", count: 2 },
      { label: "invisible characters", count: 1 },
      { label: "control characters", count: 1 },
    ]);
  });
});

describe("rows", () => {
  it("folds empty lines that would hide the end", () => {
    const list = rows(`a\n${"\n".repeat(10_000)}DELETE`);
    expect(list).toHaveLength(3);
    expect(list[1]).toMatchObject({ line: 2, blank: 10_000 });
    expect(list[2]).toMatchObject({ line: 10_002 });
  });

  it("cuts long lines, never a character or a marker in two", () => {
    const list = rows(`${"\u{1F600}".repeat(1001)}[REDACTED:github_pat]`);
    expect(list.length).toBeGreaterThan(4);
    expect(list.filter(({ line }) => line !== undefined)).toHaveLength(1);
    for (const { segments } of list) for (const { shown } of segments) expect(shown.isWellFormed()).toBe(true);
  });

  it("takes a megabyte in one line", () => {
    const begin = performance.now();
    expect(rows(`{"a":"${"word \u00e9 ".repeat(150_000)}"}`).length).toBeGreaterThan(1000);
    expect(performance.now() - begin).toBeLessThan(10_000);
  });
});
