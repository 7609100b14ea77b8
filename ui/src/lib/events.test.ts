import { expect, test } from "vitest";
import { eventReader } from "./events";

test("events come whole however they are cut", () => {
  const stream = ':\n\nevent: state\ndata: {"state":"running"}\n\n:\n\nevent: text\ndata: {"text":"a\\n\\nb"}\n\n';
  for (let size = 1; size < stream.length; size++) {
    const take = eventReader();
    const seen = [];
    for (let at = 0; at < stream.length; at += size) seen.push(...take(stream.slice(at, at + size)));
    expect(seen).toEqual([
      { name: "state", data: { state: "running" } },
      { name: "text", data: { text: "a\n\nb" } },
    ]);
  }
});

test("what is no object is left out", () => {
  expect(eventReader()("event: x\ndata: 1\n\nevent: y\ndata: {\n\ndata: {}\n\n")).toEqual([]);
});
