// Deciding over calls as people do it: with the keyboard, with impatient fingers, over hostile and over huge bodies.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { chat, HOSTILE, house } from "./house.mjs";
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

const held = (content, who = "alice") => place.held(who, "/openai/v1/chat/completions", chat(content));
const show = async (id) => (await place.api("olivia", `/api/v1/approvals/${id}`)).json();

async function reading(id, who = "olivia", options = {}) {
  const tab = await open(browser, place, who, options);
  await tab.goto(`${place.admin}/inbox?id=${id}`);
  await tab.locator(".review .sentence").waitFor();
  return tab;
}

test("with the keyboard alone: choose, approve, choose, deny with a reason", async () => {
  const [first, second] = [await held("first of two"), await held("second of two")];
  const tab = await open(browser, place, "olivia");
  await tab.goto(`${place.admin}/inbox?q=guarded`);
  await tab.locator(".item").nth(1).waitFor();
  await tab.keyboard.press("j");
  await tab.waitForURL(/id=apr_/);
  const chosen = new URL(tab.url()).searchParams.get("id");
  await tab.locator(".decide button").first().waitFor();
  await tab.keyboard.press("a");
  await tab.getByRole("dialog").waitFor();
  assert.equal(await tab.evaluate(() => document.activeElement?.textContent), "Approve");
  await tab.keyboard.press("Enter");
  await tab.getByRole("dialog").waitFor({ state: "detached" });
  await tab.locator(".review .state[data-state=approved]").waitFor();
  assert.equal((await show(chosen)).state, "approved");
  const other = chosen === first ? second : first;
  await tab.goto(`${place.admin}/inbox?id=${other}`);
  await tab.locator(".decide button").first().waitFor();
  await tab.keyboard.press("d");
  await tab.getByLabel("Why not?").fill("not today");
  await tab.keyboard.press("Control+Enter");
  await tab.locator(".review .state[data-state=denied]").waitFor();
  const after = await show(other);
  assert.deepEqual([after.state, after.votes[0].reason], ["denied", "not today"]);
  await tab.keyboard.press("?");
  for (const key of ["j", "k", "Enter", "/"]) await tab.getByRole("dialog").getByText(key, { exact: true }).first().waitFor();
  await tab.keyboard.press("Escape");
  await tab.getByRole("dialog").waitFor({ state: "detached" });
  await tab.keyboard.press("g");
  await tab.keyboard.press("h");
  await tab.waitForURL(/\/health$/);
  assert.equal(await tab.evaluate(() => document.activeElement?.textContent), "Health");
  assert.deepEqual(tab.problems, []);
});

test("the digest goes along, and two presses are one vote (catalogue 111, 212)", async () => {
  const id = await held("press twice");
  const tab = await reading(id);
  const votes = [];
  tab.on("request", (request) => request.method() === "POST" && votes.push(request.postDataJSON()));
  await tab.getByRole("button", { name: "Approve…" }).click();
  await tab.getByRole("dialog").getByRole("button", { name: "Approve" }).dblclick();
  await tab.locator(".review .state[data-state=approved]").waitFor();
  assert.deepEqual(votes, [{ reason: "", digest: (await show(id)).digest }]);
});

test("bytes that cannot be seen are not approved in passing (catalogue 111)", async () => {
  const id = await held("word ".repeat(200_000));
  const tab = await reading(id);
  const approve = tab.getByRole("button", { name: "Approve…" });
  assert.ok(await approve.isDisabled());
  await tab.keyboard.press("a");
  assert.equal(await tab.getByRole("dialog").count(), 0);
  await tab.getByText("The end is not here.").waitFor();
  assert.match(await tab.locator(".viewer .bar").innerText(), /1,000,0\d\d bytes/);
  await tab.getByLabel("I approve bytes that I have not seen").check();
  assert.ok(await approve.isEnabled());
  assert.ok((await tab.locator(".coderow").count()) < 120, "only what is in sight is drawn");
});

test("hostile text is text, and says what it hides (catalogue 201, 202)", async () => {
  const id = await held(HOSTILE);
  const tab = await reading(id);
  for (const title of ["RIGHT-TO-LEFT OVERRIDE", "ZERO WIDTH SPACE", "more than one script", "Line ends as JSON"]) {
    await tab.locator(`.marker[title*="${title}"]`).first().waitFor();
  }
  assert.match(await tab.locator(".viewer").last().innerText(), /DELETE EVERYTHING/);
  assert.equal(await tab.locator(".review img, .review a[href*='evil'], .review a[href^='javascript']").count(), 0);
  assert.equal(await tab.locator(".review svg animate").count(), 0);
  assert.deepEqual(tab.problems, []);
});

test("nobody decides over their own call, and what is not theirs is not there (catalogue 209)", async () => {
  const id = await held("my own", "olivia");
  const mine = await reading(id, "olivia");
  await mine.getByText("You cannot decide this").waitFor();
  assert.equal(await mine.getByRole("button", { name: "Approve…" }).count(), 0);
  const other = await open(browser, place, "alice");
  await other.goto(`${place.admin}/approvals/${id}`);
  await other.getByText("or you may not see it").waitFor();
  await other.locator(".trouble code.select").waitFor();
});

test("the waiting page follows the decision, and withdraws", async () => {
  const [id, second] = [await held("wait for me"), await held("forget me")];
  const tab = await open(browser, place, "alice");
  await tab.goto(`${place.admin}/approvals/${id}`);
  await tab.getByText("Waiting for a person").waitFor();
  await tab.getByText("model-owners").waitFor();
  await place.api("olivia", `/api/v1/approvals/${id}/deny`, { method: "POST" });
  await tab.getByRole("heading", { name: "Denied", exact: true }).waitFor();
  await tab.goto(`${place.admin}/approvals/${second}`);
  await tab.getByRole("button", { name: "Withdraw it" }).click();
  await tab.getByRole("heading", { name: "Withdrawn", exact: true }).waitFor();
  assert.equal((await show(second)).state, "cancelled");
});

test("on a phone: list, review, approve", async () => {
  const id = await held("from the train");
  const tab = await open(browser, place, "olivia", { viewport: { width: 375, height: 700 }, hasTouch: true, isMobile: true });
  await tab.goto(`${place.admin}/inbox`);
  await tab.locator(`#item-${id}`).tap();
  await tab.getByRole("button", { name: "Approve…" }).tap();
  await tab.getByRole("dialog").getByRole("button", { name: "Approve" }).tap();
  await tab.locator(".review .state[data-state=approved]").waitFor();
  await tab.getByRole("link", { name: "Back to the list" }).tap();
  await tab.locator(".listpane").waitFor();
});

test("below a path that a proxy adds, everything is found", async () => {
  const id = await held("behind a proxy");
  const { createServer, request } = await import("node:http");
  const proxy = createServer((incoming, outgoing) => {
    if (!incoming.url.startsWith("/tools/keyward/")) return outgoing.writeHead(404).end();
    const onward = request(place.admin + incoming.url.slice("/tools/keyward".length), { method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
  const base = `http://127.0.0.1:${proxy.address().port}/tools/keyward`;
  try {
    const tab = await open(browser, { ...place, admin: base }, "olivia");
    await tab.goto(`${base}/approvals/${id}`);
    await tab.getByRole("link", { name: "Review and decide" }).click();
    await tab.locator(".review .sentence").waitFor();
    assert.ok(tab.url().startsWith(`${base}/inbox`), tab.url());
    await tab.reload();
    await tab.locator(".review .sentence").waitFor();
    assert.deepEqual(tab.problems, []);
    await tab.context().close();
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});

test("what is not signed in sees a way in, and only that", async () => {
  const tab = await open(browser, place, undefined);
  await tab.goto(`${place.admin}/inbox?view=mine`);
  const link = tab.getByRole("link", { name: "Sign in" });
  const href = await link.getAttribute("href");
  assert.equal(new URL(href, place.admin).searchParams.get("next"), "/inbox?view=mine");
  assert.equal(await tab.getByRole("navigation").count(), 0);
});

test("nothing of a call stays in the browser (catalogue 213)", async () => {
  const id = await held("remember nothing of this sentence");
  const tab = await reading(id);
  const kept = await tab.evaluate(async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, (await caches.keys()).length, (await indexedDB.databases()).length]));
  assert.ok(!kept.includes("sentence") && !kept.includes("apr_"), kept);
});
