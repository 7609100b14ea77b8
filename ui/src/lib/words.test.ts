import { describe, expect, it } from "vitest";
import type { OperationView, PrincipalView } from "../api/types";
import { countdown, plain, sentence, shortSpan, size, span } from "./words";

const operation = (over: Partial<OperationView> = {}): OperationView => ({
  class: "model.export",
  method: "GET",
  path: "/v1/models/m/weights",
  query: "",
  model: "m",
  file: "",
  tools: [],
  stream: false,
  ...over,
});
const alice: PrincipalView = { issuer: "https://idp", subject: "alice", kind: "user", groups: [], acting_for: [] };
const say = (over: Partial<OperationView>, requester: PrincipalView = alice) =>
  plain(sentence({ requester, operation: operation(over), connection: "models" }));

describe("the sentence", () => {
  it("says who wants to do what, and where", () => {
    expect(say({})).toBe("alice wants to export the weights of the model m over the connection models.");
    expect(say({ class: "files.delete", model: "", file: "f-1" })).toBe(
      "alice wants to delete the file f-1 over the connection models.",
    );
    expect(say({ class: "files.delete", model: "" })).toBe("alice wants to delete a file over the connection models.");
    expect(say({ class: "shell.exec", tools: ["bash"] })).toBe(
      "alice wants to run a shell command over the connection models, with 1 tool.",
    );
    expect(say({ class: "chat.completions", model: "" })).toContain("send a chat to a model");
  });

  it("says on whose behalf", () => {
    const agent = {
      ...alice,
      subject: "bot",
      kind: "agent",
      acting_for: [
        { issuer: "i", subject: "ci" },
        { issuer: "i", subject: "olivia", name: "Olivia" },
      ],
    };
    expect(say({}, agent)).toMatch(/^The agent bot, acting for ci, who acts for Olivia \(olivia\), wants to export/);
  });

  it("never takes an unknown class for harmless", () => {
    expect(say({ class: "brand.new" })).toContain("make a call that Keyward does not understand");
  });

  it("marks what others wrote", () => {
    const parts = sentence({
      requester: { ...alice, name: "\u202Eevil" },
      operation: operation({ model: "<b>" }),
      connection: "c",
    });
    for (const text of ["\u202Eevil (alice)", "<b>", "c"]) expect(parts).toContainEqual({ text, theirs: true });
  });
});

it("writes lengths with their exact bytes", () => {
  expect([0, 1, 1023, 1024, 52_428_800].map((bytes) => size(bytes))).toEqual([
    "0 bytes",
    "1 byte",
    "1,023 bytes",
    "1.0 KiB (1,024 bytes)",
    "50.0 MiB (52,428,800 bytes)",
  ]);
});

it("writes spans of time", () => {
  expect([0, 59_999, 61_000, 3_661_000, 90_000_000].map(span)).toEqual([
    "0 s",
    "59 s",
    "1 m 01 s",
    "1 h 01 m",
    "1 d 1 h",
  ]);
  expect([5_000, 120_000, 7_200_000].map(shortSpan)).toEqual(["5 s", "2 min", "2 h"]);
  expect([-5, 9_000, 125_000, 3_600_000].map(countdown)).toEqual(["0:00", "0:09", "2:05", "1 h 00 m"]);
});
