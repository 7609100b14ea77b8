// Client tokens, which are shown once and kept nowhere in the browser (catalogue 213).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { house } from "./house.mjs";
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

const asked = (token, path = "/openai/v1/models") => place.call("alice", path, undefined, { authorization: `Bearer ${token}` });

async function at(path, who) {
  const tab = await open(browser, place, who);
  await tab.goto(place.admin + path);
  await tab.locator("h1").waitFor();
  return tab;
}

async function made(who, name, body = { all: true }) {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name, ...body }) };
  return (await place.api(who, "/api/v1/tokens", init)).json();
}

test("a token is made with the keyboard, shown once, and revoked (catalogue 213)", async () => {
  const tab = await at("/access", "alice");
  await tab.getByText("No client token holds").waitFor();
  await tab.keyboard.press("n");
  const dialog = tab.getByRole("dialog");
  await dialog.waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Make it" }).isDisabled(), "for nothing at all it is not made");
  await tab.keyboard.type("Notebook");
  await dialog.getByRole("combobox", { name: "On which connections?" }).focus();
  await tab.keyboard.type("opena");
  await tab.keyboard.press("ArrowDown");
  await tab.keyboard.press("Enter");
  await dialog.getByRole("combobox", { name: "For which operations?" }).focus();
  await tab.keyboard.type("models.l");
  await tab.keyboard.press("ArrowDown");
  await tab.keyboard.press("Enter");
  await dialog.getByLabel("What is it for?").focus();
  await tab.keyboard.press("Enter");
  await dialog.getByText("Copy it now").waitFor();
  const token = (await dialog.locator("pre").innerText()).trim();
  assert.match(token, /^kw_/);
  assert.equal(await tab.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Copy the token");
  // Neither a click beside it nor Escape loses it.
  await tab.keyboard.press("Escape");
  await tab.mouse.click(5, 5);
  assert.equal((await dialog.locator("pre").innerText()).trim(), token);
  await dialog.getByRole("button", { name: "I have it" }).focus();
  await tab.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  const row = tab.getByRole("row", { name: /Notebook/ });
  await row.getByText("never").waitFor();
  assert.match(await row.innerText(), /openai[\s\S]*models\.list/);

  const kept = await tab.evaluate(async () => JSON.stringify([document.documentElement.outerHTML, location.href, history.state, { ...localStorage }, { ...sessionStorage }, document.cookie, (await caches.keys()).length, (await indexedDB.databases()).length]));
  assert.ok(!kept.includes(token) && !kept.includes(token.slice(3, 20)));
  assert.equal((await asked(token)).status, 200);
  assert.equal((await place.call("alice", "/openai/v1/embeddings", { model: "m", input: "x" }, { authorization: `Bearer ${token}` })).status, 403);
  await tab.reload();
  await row.getByText(/just now|ago/).last().waitFor();
  assert.equal(await row.getByText("never").count(), 0);

  await row.getByRole("button", { name: "Revoke Notebook" }).click();
  await tab.getByRole("dialog").getByText("is refused from now on").waitFor();
  await tab.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await tab.getByText("No client token holds").waitFor();
  assert.equal((await asked(token)).status, 401);
  assert.deepEqual(tab.problems, []);
});

test("roles see all tokens, administrators end any, and an agent makes none", async () => {
  await made("alice", `pa\u200Bss ${"x".repeat(40)} \u202Egnp`);
  const tokens = await made("olivia", "Olivia's own");
  const auditor = await at("/access", "audrey");
  await auditor.getByRole("row", { name: /Olivia's own/ }).waitFor();
  await auditor.locator('.marker[title*="RIGHT-TO-LEFT OVERRIDE"]').waitFor();
  assert.equal(await auditor.getByRole("button", { name: /^Revoke/ }).count(), 0);
  await auditor.getByLabel("Only mine").check();
  await auditor.getByText("No client token holds").waitFor();
  const other = await at("/access", "otto");
  await other.getByText("No client token holds").waitFor();
  const admin = await at("/access", "adam");
  await admin.getByRole("button", { name: "Revoke Olivia's own" }).click();
  await admin.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await admin.getByRole("row", { name: /Olivia's own/ }).waitFor({ state: "detached" });
  assert.equal((await asked(tokens.token)).status, 401);
  const agent = await at("/access", "bot");
  await agent.getByText("No client token holds").waitFor();
  assert.equal(await agent.getByRole("button", { name: "Make a token…" }).count(), 0);
  for (const tab of [auditor, other, admin, agent]) assert.deepEqual(tab.problems, []);
});

test("a window is asked for, opened for less by somebody else, used, and ended", async () => {
  const alice = await at("/access", "alice");
  await alice.getByText("No window is open or waits").waitFor();
  await alice.getByRole("button", { name: "Ask for a window…" }).click();
  const dialog = alice.getByRole("dialog");
  assert.ok(await dialog.getByRole("button", { name: "Ask" }).isDisabled(), "for nothing at all it is not asked");
  await dialog.getByRole("combobox", { name: "On which connection?" }).fill("opena");
  await alice.keyboard.press("ArrowDown");
  await alice.keyboard.press("Enter");
  await dialog.getByRole("combobox", { name: "For which operations?" }).focus();
  await alice.keyboard.type("model.exp");
  await alice.keyboard.press("ArrowDown");
  await alice.keyboard.press("Enter");
  await dialog.getByLabel("Why?").fill("Backup \u202Egnp");
  await dialog.getByRole("button", { name: "Ask" }).click();
  await dialog.waitFor({ state: "detached" });
  await alice.locator('.windows .marker[title*="RIGHT-TO-LEFT OVERRIDE"]').waitFor();
  await alice.getByRole("link", { name: "waits for approval" }).waitFor();

  const olivia = await open(browser, place, "olivia");
  await olivia.goto(`${place.admin}/inbox`);
  await olivia.locator(".item").first().click();
  await olivia.getByRole("button", { name: "Approve…" }).click();
  const approve = olivia.getByRole("dialog");
  await approve.getByText("open a window").waitFor();
  await approve.getByRole("combobox", { name: "Open for how long?" }).click();
  await olivia.getByRole("option", { name: "10 minutes at most" }).click();
  await approve.getByRole("button", { name: "Approve" }).click();
  await approve.waitFor({ state: "detached" });

  const row = alice.locator(".windows tbody tr").first();
  await row.getByText(/minutes? left|left/).waitFor();
  assert.equal((await place.call("alice", "/openai/v1/models/support-7b/weights")).status, 200);
  await row.getByText("1", { exact: true }).waitFor();
  await row.getByRole("button", { name: /^End/ }).click();
  await alice.getByRole("dialog").getByRole("button", { name: "End it" }).click();
  await alice.getByText("No window is open or waits").waitFor();
  for (const tab of [alice, olivia]) assert.deepEqual(tab.problems, []);
});
