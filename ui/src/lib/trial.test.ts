import { expect, test } from "vitest";
import { caller, missing, type TrialForm, trial } from "./trial";

const form: TrialForm = {
  connection: "openai",
  method: "POST",
  path: " /v1/x?a=b ",
  body: "{}",
  who: "alice",
  kind: "user",
  groups: ["eng"],
};

test("a caller is a subject, or an issuer's", () => {
  expect(caller(" alice ")).toEqual({ subject: "alice" });
  expect(caller("https://idp/#a#alice")).toEqual({ issuer: "https://idp/#a", subject: "alice" });
  expect(caller("#alice")).toEqual({ subject: "#alice" });
});

test("a body goes only where one belongs", () => {
  expect(trial(form)).toEqual({
    connection: "openai",
    method: "POST",
    path: "/v1/x?a=b",
    headers: [],
    body: "{}",
    as: { subject: "alice", kind: "user", groups: ["eng"] },
  });
  expect(trial({ ...form, method: "GET" })).not.toHaveProperty("body");
  expect(trial({ ...form, body: "" })).not.toHaveProperty("body");
});

test("what is missing is said", () => {
  expect(missing(form)).toBeUndefined();
  expect(missing({ ...form, connection: "" })).toMatch(/connection/);
  expect(missing({ ...form, path: "v1" })).toMatch(/path/);
  expect(missing({ ...form, who: "https://idp#" })).toMatch(/who/);
});
