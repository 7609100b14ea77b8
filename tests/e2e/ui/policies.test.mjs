// Trying a request against the rules in force: what the page says, and that nothing is sent for it.
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

async function at(path, who) {
  const tab = await open(browser, place, who);
  await tab.goto(place.admin + path);
  await tab.locator("h1").waitFor();
  return tab;
}

/** Fills in what is asked for, and what comes of it. */
async function tried(tab, { path, who = "alice", groups = [], body, method }) {
  const form = tab.locator("form.trial");
  await form.getByRole("combobox", { name: "Connection" }).click();
  await tab.getByRole("option", { name: "openai" }).click();
  if (method) {
    await form.getByRole("combobox", { name: "Method" }).click();
    await tab.getByRole("option", { name: method, exact: true }).click();
  }
  await form.getByLabel("Path below the connection").fill(path);
  await form.getByLabel("Who calls").fill(who);
  for (const group of groups) {
    await form.getByRole("combobox", { name: "Groups" }).fill(group);
    await tab.keyboard.press("Enter");
  }
  if (body !== undefined) await form.getByLabel("Body").fill(body);
  const answered = tab.waitForResponse((response) => response.url().endsWith("/api/v1/policy/try"));
  await form.getByRole("button", { name: "Try it" }).click();
  await answered;
  const region = tab.getByRole("region", { name: "What would come of it" });
  await region.waitFor();
  return region;
}

test("a request is tried: the verdict, every rule, and nothing is sent", async () => {
  const tab = await at("/policies", "audrey");
  await tab.getByRole("button", { name: "Try it" }).click();
  await tab.getByText("Choose a connection.").waitFor();
  const before = (await (await place.api("audrey", "/api/v1/approvals?state=all")).json()).approvals.length;
  let outcome = await tried(tab, { path: "/v1/chat/completions", groups: ["eng"], body: JSON.stringify(chat(HOSTILE)) });
  assert.match(await outcome.innerText(), /held for approval by the rule guarded-models[\s\S]*1 person of group:model-owners[\s\S]*chat\.completions of the model guarded-large[\s\S]*mask-credentials masks credentials/);
  await outcome.getByText(/operation\.resource\.model\.startsWith/).first().waitFor();
  await outcome.getByText("The facts, as the “given” of a policy test").click();
  await outcome.getByRole("region", { name: "the facts" }).getByText('"subject": "alice"').waitFor();
  outcome = await tried(tab, { path: "/v1/nonsense", who: "https://idp#x\u202Ey", body: "" });
  await outcome.getByText("It would be blocked because no rule allows it.").waitFor();
  outcome = await tried(tab, { path: "/v1//models", method: "GET" });
  await outcome.getByText("before any rule is asked").waitFor();
  outcome = await tried(tab, { path: "/v1/models" });
  await outcome.getByText("It would be allowed by the rule use.").waitFor();
  assert.equal((await (await place.api("audrey", "/api/v1/approvals?state=all")).json()).approvals.length, before);
  assert.equal(new URL(tab.url()).search, "", "what was tried stands in no address");
  const plain = await at("/policies", "alice");
  await plain.getByText("Rules are shown to auditors").waitFor();
  assert.equal(await plain.locator("form.trial").count(), 0);
  assert.deepEqual([...tab.problems, ...plain.problems], []);
});
