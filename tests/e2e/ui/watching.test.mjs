// A moderated call: it runs under the eyes of somebody who may decide, who sees in the browser what its caller gets.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { chat, house } from "./house.mjs";
import { open } from "./seeded.mjs";

let place;
let browser;

before(async () => {
  place = await house();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await place?.stop();
});

const MARKUP = "<img src=x onerror=alert(1)>";
const begin = (content) =>
  place.call("alice", "/openai/v1/chat/completions", chat(content, { model: "watched-7b", stream: true }), { prefer: "" });

async function pending() {
  for (;;) {
    const { approvals } = await (await place.api("olivia", "/api/v1/approvals?state=pending")).json();
    if (approvals.length > 0) return approvals[0].id;
    await new Promise((done) => setTimeout(done, 50));
  }
}

test("who may decide watches it run", async () => {
  const answer = begin(`many:20000 ${MARKUP}`).then((response) => response.text());
  const id = await pending();
  const tab = await open(browser, place, "olivia");
  await tab.goto(`${place.admin}/inbox?id=${id}`);
  const live = tab.getByRole("region", { name: "Watch live" });
  await live.getByRole("button", { name: "Watch live" }).click();
  await live.getByText("Nothing was sent yet.").waitFor();
  await place.api("olivia", `/api/v1/approvals/${id}/approve`, { method: "POST" });
  await live.getByText(/It runs|It is over/).waitFor();
  await live.locator(".coderow").first().waitFor();
  await live.getByText("It is over: completed.").waitFor({ timeout: 60_000 });
  const text = await answer;
  assert.ok(text.includes("w19999 ") && text.trimEnd().endsWith("[DONE]"), text.slice(-200));
  assert.deepEqual(tab.problems, []);
  await tab.context().close();
});

test("nothing is sent before somebody watches, and nobody who only asked may", async () => {
  const answer = begin("Rotate?").then((response) => response.text());
  const id = await pending();
  await place.api("olivia", `/api/v1/approvals/${id}/approve`, { method: "POST" });
  const own = await open(browser, place, "alice");
  await own.goto(`${place.admin}/inbox?id=${id}&view=mine&state=all`);
  await own.locator(".review .sentence").waitFor();
  assert.equal(await own.getByRole("button", { name: "Watch live" }).count(), 0);
  assert.equal(await Promise.race([answer, new Promise((done) => setTimeout(done, 1000, "nothing"))]), "nothing");
  const tab = await open(browser, place, "olivia");
  await tab.goto(`${place.admin}/inbox?id=${id}&state=all`);
  const live = tab.getByRole("region", { name: "Watch live" });
  await live.getByRole("button", { name: "Watch live" }).click();
  await live.getByText("It is over: completed.").waitFor();
  const shown = await live.locator(".viewer").textContent();
  const text = await answer;
  assert.ok(text.includes("Rotate ") && text.trimEnd().endsWith("[DONE]"), text);
  assert.ok(shown.includes("ninety ") && !shown.includes("TieFighter"), shown);
  for (const each of [own, tab]) {
    assert.deepEqual(each.problems, []);
    await each.context().close();
  }
});
