// A house with something on every page, and tabs that say everything that goes wrong in them.
import { chat, HOSTILE, house } from "./house.mjs";

const TRAINING = {
  model: "support-7b",
  training_file: "file-9f2c",
  hyperparameters: { n_epochs: 3, learning_rate_multiplier: 0.1 },
  suffix: "q4-support",
};
const TOOL = { type: "function", function: { name: "refund_order", parameters: { type: "object", properties: { order: { type: "string" } } } } };

/** A window that somebody asked for and another opened for an hour. */
async function windowOf(place, who, approver, asked) {
  const post = (by, path, body) =>
    place.api(by, path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const grant = await (await post(who, "/api/v1/grants", { connection: "openai", classes: ["model.export"], ...asked })).json();
  await post(approver, `/api/v1/approvals/${grant.approval}/approve`, { seconds: 3600 });
}

export async function seeded() {
  const place = await house();
  const { call, held } = place;
  for (const [who, body] of [
    ["alice", { ...chat("How often should I rotate my keys?"), model: "support-7b", stream: true }],
    ["alice", { ...chat("And what was mine?"), model: "support-7b" }],
    ["olivia", { ...chat("Say something about locks."), model: "support-7b", stream: true }],
  ]) {
    await (await call(who, "/openai/v1/chat/completions", body)).text();
  }
  await windowOf(place, "otto", "olivia", { reason: "Nightly backup of the support models, OPS-17", uses: 20 });
  const approved = await held("alice", "/openai/v1/models/support-6b/weights");
  await place.api("olivia", `/api/v1/approvals/${approved}/approve`, { method: "POST" });
  const denied = await held("bot", "/openai/v1/chat/completions", chat("Export the list of customers as CSV."));
  await place.api("otto", `/api/v1/approvals/${denied}/deny`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ reason: "Ask for the anonymised list instead." }),
  });
  const ids = {
    approved,
    denied,
    hostile: await held("alice", "/openai/v1/chat/completions", chat(HOSTILE)),
    long: await held("alice", "/openai/v1/chat/completions", chat("word ".repeat(60_000))),
    tools: await held("bot", "/openai/v1/chat/completions", chat("Refund order 8812, the customer waited for three weeks.", { tools: [TOOL], stream: true })),
    watched: await held("alice", "/openai/v1/chat/completions", chat("How often should I rotate my keys?", { model: "watched-7b", stream: true })),
    training: await held("alice", "/openai/v1/fine_tuning/jobs", TRAINING),
    export: await held("alice", "/openai/v1/models/support-7b/weights"),
  };
  for (const [target, reason, seconds] of [
    ["group:contractors", "The engagement ended", undefined],
    ["user:https://idp.example.com#mallory", "Laptop stolen in a train", 7200],
  ]) {
    await place.api("adam", "/api/v1/locks", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ target, reason, seconds }),
    });
  }
  for (const [who, body] of [
    ["alice", { connections: ["openai"], classes: ["chat.completions", "embeddings"], name: "Nightly evaluation", seconds: 28_800 }],
    ["olivia", { all: true, name: "Notebook on the train", seconds: 900 }],
    ["adam", { connections: ["openai", "claude"], name: "pa\u200Bssword \u202Egnp.exe" }],
    ["alice", { connections: ["claude"] }],
  ]) {
    const made = await place.api(who, "/api/v1/tokens", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { token } = await made.json();
    if (body.classes) await place.call(who, "/openai/v1/embeddings", { model: "support-7b", input: "x" }, { authorization: `Bearer ${token}` });
  }
  const sessions = await (await place.api("alice", "/api/v1/sessions?limit=50")).json();
  const session = sessions.sessions.toSorted((a, b) => b.exchanges - a.exchanges)[0].id;
  const exchanges = (await (await place.api("alice", `/api/v1/sessions/${session}`)).json()).requests;
  const pages = [
    ["inbox", "olivia", `/inbox?id=${ids.tools}`],
    ["inbox-list", "olivia", "/inbox"],
    ["inbox-hostile", "olivia", `/inbox?id=${ids.hostile}`],
    ["inbox-long", "olivia", `/inbox?id=${ids.long}`],
    ["inbox-watched", "olivia", `/inbox?id=${ids.watched}`, async (tab) => {
      await tab.getByRole("button", { name: "Watch live" }).click();
      await tab.getByText("Nothing was sent yet.").waitFor();
    }],
    ["waiting-watched", "alice", `/approvals/${ids.watched}`],
    ["inbox-history", "audrey", "/inbox?view=all&state=all"],
    ["inbox-empty", "audrey", "/inbox"],
    ["waiting", "alice", `/approvals/${ids.export}`],
    ["waiting-denied", "bot", `/approvals/${ids.denied}`],
    ["sessions", "audrey", "/sessions"],
    ["session", "alice", `/sessions/${session}?exchange=${exchanges[0].id}`],
    ["session-raw", "alice", `/sessions/${session}?exchange=${exchanges[0].id}&show=raw`],
    ["connections", "alice", "/connections"],
    ["access", "adam", "/access"],
    ["access-own", "alice", "/access"],
    ["access-none", "otto", "/access"],
    ["access-make", "alice", "/access", makeToken],
    ["access-made", "audrey", "/access", async (tab) => {
      await makeToken(tab);
      await tab.getByRole("button", { name: "Make it" }).click();
      await tab.getByText("Copy it now").waitFor();
    }],
    ["policies", "audrey", `/policies?request=${exchanges[0].id}`],
    ["policies-try", "audrey", "/policies", tryRequest],
    ["locks", "adam", "/locks"],
    ["health", "audrey", "/health"],
    ["absent", "alice", "/approvals/apr_01990000000070008000000000000001"],
    ["signin", undefined, "/inbox"],
    ["signin-failed", undefined, "/sign-in?problem=sign_in_denied&next=/inbox"],
  ];
  return { ...place, ids, session, exchanges, pages };
}

async function makeToken(tab) {
  await tab.getByRole("button", { name: "Make a token…" }).click();
  await tab.getByLabel("What is it for?").fill("Weekly report");
  await tab.getByRole("combobox", { name: "On which connections?" }).fill("open");
  await tab.getByRole("option", { name: "openai" }).click();
  await tab.getByLabel("What is it for?").focus();
}

async function tryRequest(tab) {
  await tab.getByRole("combobox", { name: "Connection" }).click();
  await tab.getByRole("option", { name: "openai" }).click();
  await tab.getByLabel("Who calls").fill("alice");
  await tab.getByRole("combobox", { name: "Groups" }).fill("eng");
  await tab.keyboard.press("Enter");
  await tab.getByRole("textbox", { name: "Body" }).fill(JSON.stringify(chat("Export the list of customers as CSV.")));
  await tab.getByRole("button", { name: "Try it" }).click();
  await tab.getByRole("region", { name: "What would come of it" }).waitFor();
}

/** A tab of one person, who is known by a token. */
export async function open(browser, place, who, options = {}) {
  const headers = who ? { authorization: `Bearer ${place.token(who)}` } : {};
  const context = await browser.newContext({ ...options, extraHTTPHeaders: headers });
  return watched(await context.newPage(), [place.admin]);
}

/** The same tab, whose `problems` are what it complained of: script errors, violations of the content security policy, and
 * requests to anywhere but these origins. */
export function watched(tab, origins) {
  tab.problems = [];
  tab.on("pageerror", (error) => tab.problems.push(String(error)));
  tab.on("console", (message) => {
    // A failed answer of the API is the page's to show; the browser says it too.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) tab.problems.push(message.text());
  });
  tab.on("request", (request) => {
    if (!origins.some((origin) => request.url().startsWith(origin))) tab.problems.push(`asked ${request.url()}`);
  });
  return tab;
}

/** What gateways will add to approvals, laid over what this one says: pages must show it where it is there. */
export async function augment(tab, place) {
  await tab.route(/\/api\/v1\/approvals\/[^/]+$/, async (route) => {
    const response = await route.fetch();
    if (!response.ok()) return route.fulfill({ response });
    const body = await response.json();
    if (body.id === place.ids.tools) {
      body.secrets = ["env://HOUSE_KEY"];
      body.session = place.session;
      const before = body.request.body.replace("8812", "8790").replace("three weeks", "two days");
      body.similar = { id: place.ids.approved, decided_at: new Date(Date.now() - 86_400_000).toISOString(), request: { headers: body.request.headers, body: before } };
    }
    return route.fulfill({ response, json: body });
  });
}
