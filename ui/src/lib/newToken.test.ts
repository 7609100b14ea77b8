import { expect, test } from "vitest";
import { LIVES, newToken } from "./newToken";

const form = { name: " x ", all: false, connections: ["openai"], classes: [], seconds: "3600" };

test("names or all, and not both", () => {
  expect(newToken(form)).toEqual({ name: "x", connections: ["openai"], seconds: 3600 });
  expect(newToken({ ...form, all: true })).toEqual({ name: "x", all: true, seconds: 3600 });
});

test("classes only where some are named", () => {
  expect(newToken({ ...form, classes: ["embeddings"] })).toHaveProperty("classes", ["embeddings"]);
  expect(newToken(form)).not.toHaveProperty("classes");
});

test("nothing holds for longer than the gateway takes", () => {
  for (const { value } of LIVES) expect(Number(value)).toBeLessThanOrEqual(86_400);
});
