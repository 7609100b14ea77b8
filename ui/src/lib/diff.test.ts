import { describe, expect, it } from "vitest";
import { diffLines, hunks } from "./diff";

const say = (before: string, after: string) =>
  diffLines(before, after)
    .map(({ change, text }) => ({ same: " ", added: "+", removed: "-" })[change] + text)
    .join("\n");

describe("difference by lines", () => {
  it("finds what changed between what stayed", () => {
    expect(say("a\nb\nc\nd", "a\nx\nc\nd\ne")).toBe(" a\n-b\n+x\n c\n d\n+e");
    expect(say("", "")).toBe(" ");
    expect(say("a\na", "a")).toBe(" a\n-a");
  });

  it("gives both texts back", () => {
    let seed = 3;
    const next = () => (seed = (seed * 48271) % 2147483647);
    for (let round = 0; round < 200; round++) {
      const text = () => Array.from({ length: next() % 12 }, () => "abcd"[next() % 4]).join("\n");
      const [before, after] = [text(), text()];
      const lines = diffLines(before, after);
      const of = (...changes: string[]) =>
        lines
          .filter(({ change }) => changes.includes(change))
          .map(({ text }) => text)
          .join("\n");
      expect(of("same", "removed")).toBe(before);
      expect(of("same", "added")).toBe(after);
    }
  });

  it("does not look for ever", () => {
    const many = (from: number) => Array.from({ length: 6000 }, (_, index) => `line ${from + index * 2}`).join("\n");
    const begin = performance.now();
    expect(diffLines(many(0), many(1))).toHaveLength(12_000);
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  it("leaves out what is the same and far", () => {
    const lines = (change: number) =>
      Array.from({ length: 50 }, (_, index) => (index === change ? "changed" : `${index}`)).join("\n");
    const parts = hunks(diffLines(lines(-1), lines(25)), 2);
    expect(parts).toHaveLength(1);
    expect(parts[0]?.skipped).toBe(23);
    expect(parts[0]?.lines).toHaveLength(6);
    expect(hunks(diffLines("a", "a"))).toEqual([]);
  });
});
