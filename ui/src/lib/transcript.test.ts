import { describe, expect, it } from "vitest";
import { rhythm } from "./rhythm";
import { shellWord } from "./shell";
import { answered, asked } from "./transcript";

const events = (...values: object[]) =>
  `${values.map((value) => `data: ${JSON.stringify(value)}\n\n`).join("")}data: [DONE]\n\n`;

describe("transcript", () => {
  it("reads what was asked in each dialect", () => {
    expect(
      asked(
        '{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url"}]}]}',
      ),
    ).toEqual([
      { role: "system", text: "be kind" },
      { role: "user", text: "hi\n⟨image_url⟩" },
    ]);
    expect(
      asked(
        '{"system":"s","messages":[{"role":"assistant","content":[{"type":"tool_use","name":"ls","input":{"a":1}}]}]}',
      )[1]?.text,
    ).toBe('ls({"a":1})');
    expect(asked('{"instructions":"i","input":"q"}')).toEqual([
      { role: "system", text: "i" },
      { role: "user", text: "q" },
    ]);
  });

  it("puts streams together by channel", () => {
    const delta = (index: number, content: string) => ({ choices: [{ index, delta: { content } }] });
    expect(answered(events(delta(0, "a"), delta(1, "x"), delta(0, "b")))).toEqual([
      { role: "assistant", text: "ab" },
      { role: "assistant 2", text: "x" },
    ]);
    expect(
      answered(
        `event: content_block_delta\n${events({ type: "content_block_delta", delta: { type: "text_delta", text: "hi" } })}`,
      ),
    ).toEqual([{ role: "assistant", text: "hi" }]);
    expect(answered(events({ type: "response.output_text.delta", delta: "ok" }))).toEqual([
      { role: "assistant", text: "ok" },
    ]);
  });

  it("reads whole answers, and leaves what it does not know", () => {
    expect(answered('{"choices":[{"message":{"role":"assistant","content":"yes"}}]}')).toEqual([
      { role: "assistant", text: "yes" },
    ]);
    expect(answered('{"role":"assistant","content":[{"type":"text","text":"yes"}]}')).toEqual([
      { role: "assistant", text: "yes" },
    ]);
    for (const other of ["", "plain", "[1]", "null", '{"data":[]}', "data: {broken"])
      expect(answered(other), other).toEqual([]);
    for (const other of ["", "x", "[]", "null", '{"messages":{"a":1}}']) expect(asked(other), other).toEqual([]);
  });
});

describe("rhythm", () => {
  it("counts every piece once", () => {
    const beats = Array.from({ length: 100_000 }, (_, index) => ({ offset_us: index * 10, bytes: 2 }));
    const { slots, lastUs } = rhythm(beats, 160);
    expect(slots.reduce((sum, { pieces }) => sum + pieces, 0)).toBe(100_000);
    expect(lastUs).toBe(999_990);
    expect(rhythm([], 3).slots).toHaveLength(3);
    expect(rhythm([{ offset_us: 0, bytes: 1 }], 3).slots[0]?.pieces).toBe(1);
  });
});

describe("words for a shell", () => {
  it("quotes, and refuses what nobody should paste", () => {
    expect(shellWord("openai/v1/models/m")).toBe("openai/v1/models/m");
    expect(shellWord("a b'$(id)")).toBe("'a b'\\''$(id)'");
    for (const text of ["a\nb", "\u202Ex", "caf\u00e9", "\u001B[1m"]) expect(shellWord(text)).toBeUndefined();
  });
});
