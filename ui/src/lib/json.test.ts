import { expect, it } from "vitest";
import { pretty } from "./json";

it("sets JSON out without changing a value", () => {
  expect(pretty('{"a":1e400,"a":"x\\u202ey","n":12345678901234567890,"l":[ ],"o":{"b":[1,true,null]}}')).toBe(
    `{
  "a": 1e400,
  "a": "x\\u202ey",
  "n": 12345678901234567890,
  "l": [],
  "o": {
    "b": [
      1,
      true,
      null
    ]
  }
}`,
  );
});

it("keeps every character but blanks between", () => {
  const text = '{"a, b: [c]":"\\"{}\\\\","d":[{"e":-1.50}]}';
  const lines = pretty(text)
    ?.split("\n")
    .map((line) => line.trimStart());
  expect(lines).toEqual(["{", '"a, b: [c]": "\\"{}\\\\",', '"d": [', "{", '"e": -1.50', "}", "]", "}"]);
});

it("leaves everything else alone", () => {
  for (const text of ["", "hello", '{"a":', '"a"', "12", "{a: 1}", `${"[".repeat(500)}${"]".repeat(500)}`]) {
    expect(pretty(text), text.slice(0, 20)).toBeUndefined();
  }
});
