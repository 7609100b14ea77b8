import { expect, test } from "vitest";
import { localPath, noSignIn, problemCode } from "./noSignIn";

test("a code that is not ours is said like any other", () => {
  const other = noSignIn("sign_in_nonsense");
  expect(other.title).toBe("Signing in did not work");
  for (const name of ["toString", "constructor", "__proto__"]) expect(noSignIn(name)).toBe(other);
  expect(noSignIn("sign_in_denied")).not.toBe(other);
  expect(noSignIn("sign_in_absent").again).toBe(false);
});

test("only what looks like a code is one", () => {
  expect(problemCode("sign_in_denied")).toBe("sign_in_denied");
  for (const bad of ["", "Call +1 555", "sign in", "<b>", "a".repeat(41), 7, undefined])
    expect(problemCode(bad)).toBeUndefined();
});

test("the way back is a path of our own (catalogue 206)", () => {
  for (const good of ["/", "/inbox?id=apr_1", "/sessions?a=b#c"]) expect(localPath(good)).toBe(good);
  for (const bad of [
    "",
    "x",
    "//evil",
    "/\\evil",
    "/x\\y",
    "https://evil",
    "javascript:alert(1)",
    "/ x",
    "/\t/x",
    "/é",
    `/${"x".repeat(1024)}`,
  ]) {
    expect(localPath(bad), bad).toBeUndefined();
  }
});
