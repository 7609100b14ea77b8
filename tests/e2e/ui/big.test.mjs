// A recording of 100,000 events, a session of many calls and a held call of 50 MB stay usable (catalogue 211). The page answers
// keys before all is there, and when it is. The bounds are generous, for a slow machine with a debug build; what was measured
// is said.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { chat, house } from "./house.mjs";
import { open } from "./seeded.mjs";

const EVENTS = 100_000;
const CALLS = 1_200;
const BODY_BYTES = 50_000_000;
/** Until a page answers keys; the catalogue wants 2 s of a release build that has the machine to itself. */
const USABLE_MS = 10_000;
/** Until the gateway has read what the page shows first. */
const SHOWN_MS = 60_000;
/** What is drawn stays so small, however much there is. */
const ELEMENTS_MAX = 3_000;

let place;
let browser;

before(async () => {
  place = await house({ limits: { inspect_body_bytes_max: "64MiB" } });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await place?.stop();
});

/** The page answers a key before it has everything, and when it shows what one came for: how long each took. */
async function usable(tab, path, shown) {
  const began = Date.now();
  await tab.goto(place.admin + path);
  await tab.locator("h1").waitFor({ timeout: USABLE_MS });
  await answersKeys(tab);
  const usable = Date.now() - began;
  for (const selector of shown) await tab.locator(selector).first().waitFor({ timeout: SHOWN_MS });
  const all = Date.now() - began;
  await answersKeys(tab);
  assert.ok(usable < USABLE_MS, `${path}: ${usable} ms`);
  assert.ok((await tab.locator("*").count()) < ELEMENTS_MAX, "the page stays small");
  return `usable after ${usable} ms, shown after ${all} ms`;
}

async function answersKeys(tab) {
  await tab.keyboard.press("?");
  await tab.getByRole("dialog", { name: "Keys" }).waitFor({ timeout: USABLE_MS });
  await tab.keyboard.press("Escape");
  await tab.getByRole("dialog").waitFor({ state: "detached", timeout: USABLE_MS });
}

/** Scrolls down until this is in sight. */
async function scrollTo(tab, scroller, wanted) {
  for (const end = Date.now() + SHOWN_MS; Date.now() < end && (await wanted.count()) === 0; ) {
    await scroller.evaluate((it) => it.scrollTo(0, it.scrollHeight));
    await tab.waitForTimeout(50);
  }
  await wanted.first().waitFor();
}

const session = async (who) => (await (await place.api(who, "/api/v1/sessions")).json()).sessions[0].id;

test("a recording of 100,000 events", async (t) => {
  const answer = await place.call("alice", "/openai/v1/chat/completions", { ...chat(`many:${EVENTS}`), model: "open", stream: true });
  const told = await answer.text();
  assert.equal(told.match(/^data: /gm).length, EVENTS + 1);
  const id = await session("alice");
  const tab = await open(browser, place, "alice");
  t.diagnostic(await usable(tab, `/sessions/${id}`, [".item", ".rhythm figcaption", ".turns li"]));
  await tab.getByText("Bytes", { exact: true }).click();
  await tab.locator(".coderow").first().waitFor();
  const more = tab.getByRole("button", { name: "More of the answer" });
  for (const until = Date.now() + SHOWN_MS; (await more.count()) > 0; ) {
    assert.ok(Date.now() < until, "the whole answer is there in time");
    // The last part takes the button away, maybe while it is about to be pressed once more.
    await more.click({ timeout: 1000 }).catch(() => {});
  }
  await scrollTo(tab, tab.getByRole("region", { name: "The answer" }), tab.locator(".coderow", { hasText: "[DONE]" }));
  assert.ok((await tab.locator("*").count()) < ELEMENTS_MAX, "the page stays small");
  await tab.keyboard.press("g");
  await tab.keyboard.press("s");
  await tab.getByRole("heading", { name: "Sessions" }).waitFor({ timeout: USABLE_MS });
  assert.deepEqual(tab.problems, []);
});

test("a session of many calls: its list goes on as one scrolls", async (t) => {
  const models = async () => (await place.call("otto", "/openai/v1/models")).text();
  for (let done = 0; done < CALLS; done += 20) await Promise.all(Array.from({ length: 20 }, models));
  const id = await session("otto");
  const tab = await open(browser, place, "otto");
  t.diagnostic(await usable(tab, `/sessions/${id}`, [".item"]));
  const list = tab.getByRole("navigation", { name: "Exchanges" });
  await scrollTo(tab, list, list.locator(`[data-index="${CALLS - 1}"]`));
  await list.locator(`[data-index="${CALLS - 1}"] .item`).click();
  await tab.locator(".review .operation").waitFor();
  assert.ok((await tab.locator("*").count()) < ELEMENTS_MAX, "the page stays small");
  assert.deepEqual(tab.problems, []);
});

test("a held call of 50 MB", async (t) => {
  const id = await place.held("alice", "/openai/v1/chat/completions", chat("word ".repeat(BODY_BYTES / 5)));
  const tab = await open(browser, place, "olivia");
  t.diagnostic(await usable(tab, `/inbox?id=${id}`, [".item", ".review .sentence", ".coderow"]));
  assert.match(await tab.locator(".viewer .bar").innerText(), /50,000,\d\d\d bytes/);
  const approve = tab.getByRole("button", { name: "Approve…" });
  assert.ok(await approve.isDisabled(), "the end is not here");
  await tab.getByLabel("I approve bytes that I have not seen").check();
  await tab.keyboard.press("a");
  await tab.getByRole("dialog").waitFor();
  await tab.keyboard.press("Enter");
  await tab.locator(".review .state[data-state=approved]").waitFor();
  assert.deepEqual(tab.problems, []);
});
