// Signing in with a real OpenID Provider's form, and what a browser's session then can do and cannot: the provider stands on
// another site, the gateway is the real binary, nothing is sent but what the browser sends by itself (catalogue 203, 205, 206,
// 207, 212).
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { people } from "../../oidc/people.mjs";
import { launch } from "./browser.mjs";
import { chat, house } from "./house.mjs";
import { watched } from "./seeded.mjs";

const KNOWN = {
  olivia: { name: "Olivia Brandt", groups: ["eng", "model-owners"] },
  otto: { name: "Otto Lind", groups: ["eng", "model-owners"] },
  mallory: { name: "Mallory Finch", groups: ["eng"] },
  // What the provider says of this one is nothing that a gateway could rely on.
  muddle: { name: "Mud Dle", groups: { eng: true } },
};
let provider;
let place;
let browser;

before(async () => {
  provider = await people(KNOWN);
  place = await house(
    { sign_in: { issuer: "corp", client_id: provider.clientId, client_secret: "env://SIGN_IN_SECRET" } },
    {
      issuers: [{ name: "corp", url: provider.issuer, audiences: ["urn:keyward"], algorithms: ["RS256"] }],
      env: { SIGN_IN_SECRET: provider.clientSecret },
    },
  );
  provider.register(`${place.admin}/auth/callback`);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await place?.stop();
  provider?.stop();
});

/** A tab of a browser of its own that nobody signed in with. */
async function fresh() {
  const context = await browser.newContext();
  return watched(await context.newPage(), [place.admin, provider.issuer]);
}

/** Fills in the provider's form. */
async function answer(tab, who) {
  await tab.waitForURL((url) => url.origin === provider.issuer);
  await tab.getByLabel("User name").fill(who);
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.waitForURL((url) => url.origin === place.admin);
}

async function signedIn(who, path = "/inbox") {
  const tab = await fresh();
  await tab.goto(place.admin + path);
  await tab.getByRole("link", { name: "Sign in" }).click();
  await answer(tab, who);
  await tab.getByRole("navigation", { name: "Pages" }).waitFor();
  return tab;
}

/** Cookies go by host and not by port, so the provider's are there too. */
async function ours(tab) {
  return (await tab.context().cookies(place.admin)).filter(({ name }) => name.startsWith("keyward"));
}

/** What the API says to whoever holds this cookie. */
const whoami = (value) => fetch(`${place.admin}/api/v1/whoami`, { headers: { cookie: `keyward=${value}` } });
/** A call whose caller waits for the answer. */
const waits = (content) => place.call("alice", "/openai/v1/chat/completions", chat(content), { prefer: "wait=50" });
const show = async (id) => (await place.api("olivia", `/api/v1/approvals/${id}`)).json();
const held = (content) => place.held("alice", "/openai/v1/chat/completions", chat(content));

test("sign in, decide over calls that come by themselves with the keyboard alone, sign out (catalogue 205, 207)", async () => {
  const tab = await fresh();
  await tab.context().addCookies([{ name: "keyward", value: "planted-before-anybody-signed-in", url: place.admin }]);
  await tab.goto(`${place.admin}/inbox`);
  await tab.getByRole("link", { name: "Sign in" }).click();
  await answer(tab, "olivia");
  await tab.getByText("Olivia Brandt").first().waitFor();
  assert.equal(new URL(tab.url()).pathname, "/inbox");
  const [session, ...others] = await ours(tab);
  assert.deepEqual(others, []);
  assert.deepEqual([session.name, session.httpOnly, session.sameSite, session.expires], ["keyward", true, "Strict", -1]);
  assert.notEqual(session.value, "planted-before-anybody-signed-in");
  assert.equal((await whoami("planted-before-anybody-signed-in")).status, 401);
  assert.equal((await whoami(session.value)).status, 200);
  assert.equal(await tab.evaluate(() => document.cookie.includes("keyward")), false);

  // Told at once: asking by itself would take half a minute.
  await tab.locator(".live[data-state=live]").waitFor();
  await tab.getByText("Nothing waits for you").waitFor();
  const approved = waits("approve this from the open inbox");
  await tab.locator(".item").first().waitFor({ timeout: 15_000 });
  await tab.keyboard.press("j");
  await tab.locator(".decide button").first().waitFor();
  await tab.keyboard.press("a");
  await tab.getByRole("dialog").waitFor();
  await tab.keyboard.press("Enter");
  await tab.locator(".review .state[data-state=approved], .review .state[data-state=consumed]").waitFor();
  const given = await approved;
  assert.equal(given.status, 200);
  assert.match(await given.text(), /It is \[REDACTED:/);

  await tab.keyboard.press("Escape");
  const denied = waits("deny this from the open inbox");
  await tab.locator(".item", { has: tab.locator(".end .left") }).first().waitFor({ timeout: 15_000 });
  await tab.keyboard.press("j");
  await tab.getByText("Lets exactly this call through").waitFor();
  await tab.keyboard.press("d");
  await tab.getByRole("dialog").waitFor();
  await tab.keyboard.type("Not before Monday");
  await tab.keyboard.press("Control+Enter");
  await tab.locator(".review .state[data-state=denied]").waitFor();
  const refused = await denied;
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /Not before Monday/);

  const second = watched(await tab.context().newPage(), [place.admin]);
  await second.goto(`${place.admin}/health`);
  await second.locator(".live[data-state=live]").waitFor();
  await tab.getByRole("button", { name: /Menu/ }).click();
  await tab.getByRole("menuitem", { name: "Sign out" }).click();
  await tab.getByRole("link", { name: "Sign in" }).waitFor();
  assert.equal((await whoami(session.value)).status, 401, "over on the gateway, not only in the browser");
  assert.deepEqual(await ours(tab), []);
  await second.getByRole("link", { name: "Sign in" }).waitFor();
  assert.deepEqual([...tab.problems, ...second.problems], []);
});

test("each sign-in is a session of its own, and ends the one before (catalogue 205)", async () => {
  const tab = await signedIn("olivia");
  const [first] = await ours(tab);
  await tab.goto(`${place.admin}/auth/login?fresh=true&next=/health`);
  // Signed in just now, so the provider need not ask again.
  await tab.waitForURL(`${place.admin}/health`);
  const [second] = await ours(tab);
  assert.notEqual(second.value, first.value);
  assert.equal((await whoami(first.value)).status, 401);
  assert.equal((await whoami(second.value)).status, 200);
});

test("the way back leads nowhere else (catalogue 206)", async () => {
  const tab = await signedIn("olivia");
  const hostile = ["//evil.example", "/\\evil.example", "\\\\evil.example", "https://ok@evil.example", "javascript:alert(1)", "/\t/evil.example", "/x\r\nset-cookie: keyward=x", "data:text/html,x", "/%2f/evil.example", "/.//evil.example"];
  for (const next of hostile) {
    await tab.goto(`${place.admin}/auth/login?next=${encodeURIComponent(next)}`);
    await tab.locator("h1").first().waitFor();
    assert.equal(new URL(tab.url()).origin, place.admin, next);
    assert.equal((await ours(tab)).length, 1, next);
  }
  assert.deepEqual(tab.problems, []);
});

test("a page of another origin decides nothing with the browser's cookie (catalogue 203)", async () => {
  const tab = await signedIn("olivia");
  const id = await held("ride on somebody's cookie");
  const target = `${place.admin}/api/v1/approvals/${id}/approve`;
  const evil = http.createServer((_, response) => {
    response.setHeader("content-type", "text/html").end(`<form method="post" enctype="text/plain" action="${target}"><input name='{"reason":"' value='"}'></form>`);
  });
  await new Promise((done) => evil.listen(0, "127.0.0.1", done));
  try {
    // Another port is the same site, so that even a strict cookie comes along; another host is another site.
    for (const host of ["127.0.0.1", "localhost"]) {
      const page = await tab.context().newPage();
      const answers = [];
      page.on("response", (response) => response.url() === target && answers.push(response.status()));
      await page.goto(`http://${host}:${evil.address().port}/`);
      const outcomes = await page.evaluate(async (url) => {
        const tries = [
          { mode: "no-cors", headers: { "content-type": "text/plain" } },
          { mode: "cors", headers: { "content-type": "application/json", "keyward-csrf": "x" } },
          { mode: "no-cors", headers: { "content-type": "text/plain", "x-http-method-override": "POST" } },
        ];
        const said = [];
        for (const each of tries) {
          said.push(await fetch(url, { ...each, method: "POST", credentials: "include", body: "{}" }).then(({ type }) => type, () => "failed"));
        }
        return said;
      }, target);
      // What needs a preflight never went out; of the others the page may not even have the answer.
      assert.deepEqual(outcomes, ["failed", "failed", "failed"], host);
      const [navigated] = await Promise.all([page.waitForResponse(target), page.evaluate(() => void setTimeout(() => document.forms[0].submit()))]);
      assert.equal(navigated.status(), 403, host);
      assert.ok(answers.length > 0 && answers.every((status) => status === 403 || status === 405), `${host}: ${answers}`);
      // Not waited for: the browser sometimes does not say that a page with a refused answer is closed.
      page.close().catch(() => {});
    }
    // The cookie alone, from a page that says nothing, or one that says it is ours.
    const [{ value }] = await ours(tab);
    for (const headers of [{}, { origin: place.admin }, { origin: place.admin, "keyward-csrf": "x" }, { origin: "null" }]) {
      const answer = await fetch(target, { method: "POST", headers: { cookie: `keyward=${value}`, "content-type": "application/json", ...headers }, body: "{}" });
      assert.equal(answer.status, 403, JSON.stringify(headers));
    }
    assert.equal((await show(id)).state, "pending");
  } finally {
    evil.closeAllConnections();
    evil.close();
  }
});

test("a decision with an old proof leads through the provider and back to the review (catalogue 212)", async () => {
  provider.dated(3600);
  const tab = await signedIn("otto");
  const id = await held("decide with an old proof");
  await tab.goto(`${place.admin}/inbox?id=${id}`);
  await tab.locator(".decide button").first().waitFor();
  await tab.keyboard.press("a");
  await tab.getByRole("dialog").waitFor();
  await tab.keyboard.press("Enter");
  const again = tab.getByRole("link", { name: "Sign in again" });
  await again.waitFor();
  assert.equal((await show(id)).state, "pending");
  provider.dated(0);
  await again.click();
  await answer(tab, "otto");
  assert.equal(tab.url(), `${place.admin}/inbox?id=${id}`);
  await tab.locator(".decide button").first().waitFor();
  await tab.keyboard.press("a");
  await tab.getByRole("dialog").waitFor();
  await tab.keyboard.press("Enter");
  await tab.locator(".review .state[data-state=approved]").waitFor();
  const after = await show(id);
  assert.deepEqual([after.state, after.votes[0].by.subject], ["approved", "otto"]);
  assert.deepEqual(tab.problems, []);
});

test("who goes away from the provider's form reads what happened, and can try again", async () => {
  const tab = await fresh();
  await tab.goto(`${place.admin}/health`);
  await tab.getByRole("link", { name: "Sign in" }).click();
  await tab.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("heading", { name: "You were not signed in" }).waitFor();
  await tab.getByText("sign_in_denied").waitFor();
  assert.doesNotMatch(tab.url(), /state=|code=|error=/);
  assert.deepEqual((await ours(tab)).filter(({ name }) => name === "keyward"), []);
  await tab.getByRole("link", { name: "Try again" }).click();
  await answer(tab, "olivia");
  await tab.waitForURL(`${place.admin}/health`);
  await tab.getByRole("heading", { name: "Health" }).waitFor();
  // The same for who wanted to prove anew who they are: they are signed in as before.
  provider.dated(0);
  const [before] = await ours(tab);
  await tab.context().clearCookies({ name: /^_/ });
  await tab.goto(`${place.admin}/auth/login?fresh=true&next=/locks`);
  await tab.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("link", { name: "Try again" }).waitFor();
  assert.match(await tab.getByRole("link", { name: "Try again" }).getAttribute("href"), /fresh=true/);
  await tab.getByRole("link", { name: /still signed in/ }).click();
  await tab.waitForURL(`${place.admin}/locks`);
  assert.equal((await ours(tab)).find(({ name }) => name === "keyward").value, before.value);
  assert.deepEqual(tab.problems, []);
});

test("an answer that nobody asked for, one that comes twice, and one that cannot be trusted", async () => {
  const tab = await fresh();
  for (const query of ["code=x&state=y", "", "error=access_denied", "state=a&state=b", "code=x&state=y&iss=https://evil.example"]) {
    await tab.goto(`${place.admin}/auth/callback?${query}`);
    await tab.locator(".card[data-failed]").waitFor();
    assert.equal(new URL(tab.url()).pathname, "/sign-in");
    await tab.getByRole("link", { name: "Try again" }).waitFor();
  }
  let back;
  tab.on("request", (request) => {
    if (request.url().includes("/auth/callback?code=")) back = request.url();
  });
  await tab.goto(`${place.admin}/auth/login`);
  await answer(tab, "olivia");
  await tab.getByRole("navigation", { name: "Pages" }).waitFor();
  await tab.goto(back);
  await tab.getByRole("heading", { name: "This sign-in is over" }).waitFor();
  await tab.getByRole("link", { name: /still signed in/ }).waitFor();
  const other = await fresh();
  await other.goto(`${place.admin}/auth/login`);
  await answer(other, "muddle");
  await other.getByText("sign_in_refused").waitFor();
  assert.deepEqual((await ours(other)).filter(({ name }) => name === "keyward"), []);
  assert.deepEqual([...tab.problems, ...other.problems], []);
});

test("programs get a problem as it is", async () => {
  const answer = await fetch(`${place.admin}/auth/callback?code=x&state=y`, { headers: { accept: "application/json" }, redirect: "manual" });
  assert.equal(answer.status, 400);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal((await answer.json()).code, "sign_in_unknown");
});

test("an address that somebody made up says nothing of its own, and leads nowhere else (catalogue 201, 206)", async () => {
  const tab = await fresh();
  await tab.goto(`${place.admin}/sign-in?problem=${encodeURIComponent("<img src=x onerror=alert(1)>Call +1 555")}`);
  await tab.getByRole("link", { name: "Sign in" }).waitFor();
  assert.equal(await tab.getByText("555").count(), 0);
  await tab.goto(`${place.admin}/sign-in?problem=sign_in_denied&next=${encodeURIComponent("//evil.example/")}`);
  const href = await tab.getByRole("link", { name: "Try again" }).getAttribute("href");
  assert.equal(new URL(href, place.admin).origin, place.admin);
  assert.equal(new URL(href, place.admin).searchParams.get("next"), "/");
  assert.deepEqual(tab.problems, []);
});

test("whom a lock keeps out reads why", async () => {
  const lock = { target: `user:${provider.issuer}#mallory`, reason: "Laptop \u202Estolen" };
  const made = await place.api("adam", "/api/v1/locks", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(lock) });
  assert.equal(made.status, 200);
  const tab = await fresh();
  await tab.goto(`${place.admin}/auth/login`);
  await answer(tab, "mallory");
  await tab.getByRole("heading", { name: "You are kept out" }).waitFor();
  await tab.locator('.marker[title*="RIGHT-TO-LEFT OVERRIDE"]').waitFor();
  assert.equal(await tab.getByRole("navigation").count(), 0);
  assert.deepEqual(tab.problems, []);
});
