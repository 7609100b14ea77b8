import { expect, test } from "vitest";
import { newWindow, SPANS } from "./newWindow";

const form = { connection: "models", classes: ["model.export"], seconds: "900", uses: "", reason: " backup " };

test("a number of calls only where there is one", () => {
  expect(newWindow(form)).toEqual({
    connection: "models",
    classes: ["model.export"],
    seconds: 900,
    reason: "backup",
  });
  expect(newWindow({ ...form, uses: 3 })).toHaveProperty("uses", 3);
});

test("no window is longer than rules can let be approved", () => {
  for (const { value } of SPANS) expect(Number(value)).toBeLessThanOrEqual(86_400);
});
