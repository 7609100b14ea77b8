// A gateway with an issuer, an upstream and calls that wait, for the tests of the interface. Everything listens on loopback
// at ports that the kernel chooses, and ends with the test.
import { spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const target = process.env.CARGO_TARGET_DIR ?? join(homedir(), ".cache/keyward-target");
export const BINARY = process.env.KEYWARD_BIN ?? join(target, "debug/keyward");
const AUDIENCE = "keyward";

/** Who there is, and their groups. */
const PEOPLE = {
  alice: { sub: "alice", name: "Alice Novak", groups: ["eng"] },
  olivia: { sub: "olivia", name: "Olivia Brandt", groups: ["eng", "model-owners"] },
  otto: { sub: "otto", name: "Otto Lind", groups: ["eng", "model-owners"] },
  audrey: { sub: "audrey", name: "Audrey Kim", groups: ["security"] },
  adam: { sub: "adam", name: "Adam Ortega", groups: ["platform"] },
  bot: { sub: "release-bot", client_id: "release-bot", groups: ["ci"], act: { sub: "alice" } },
};

const POLICY = `
apiVersion: keyward/v1
kind: Policy
metadata: {name: house}
rules:
  - {id: use, effect: allow, when: 'operation.class in ["models.list", "chat.completions", "embeddings"]'}
  - id: export-needs-owner
    effect: approve
    when: 'operation.class == "model.export"'
    reason: Exporting weights leaves the perimeter
    approval: {approvers: ["group:model-owners"], min: 1, bind: request, ttl: 15m, grant: 4h}
  - id: training-needs-two-owners
    effect: approve
    when: 'operation.class == "finetune.create"'
    reason: Training changes what everybody gets from this model
    approval: {approvers: ["group:model-owners"], min: 2, bind: request, ttl: 1h}
  - id: guarded-models
    effect: approve
    when: 'operation.class == "chat.completions" && operation.resource.model.startsWith("guarded")'
    reason: This model answers with customers' data
    approval: {approvers: ["group:model-owners"], min: 1, bind: request, ttl: 10m}
  - id: watched-models
    effect: approve
    when: 'operation.class == "chat.completions" && operation.resource.model.startsWith("watched")'
    reason: Somebody looks on while this model answers
    approval:
      approvers: [owner]
      ttl: 10m
      escalate: {after: 5m, to: ["group:security"]}
      moderated: {grace: 20s}
  - id: mask-credentials
    effect: mask
    when: 'true'
    mask: {detect: [credentials], where: [response, stream, headers, errors], style: redact}
`;

const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

async function listen(handler) {
  const server = http.createServer(handler);
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

async function issuer() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" };
  const { server, url } = await listen((request, response) => {
    const base = `http://${request.headers.host}`;
    const page = request.url === "/jwks" ? { keys: [jwk] } : { issuer: base, jwks_uri: `${base}/jwks` };
    response.setHeader("content-type", "application/json").end(JSON.stringify(page));
  });
  const token = (who, seconds = 3600) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: url, aud: AUDIENCE, client_id: "e2e", iat: now - 1, exp: now + seconds, ...PEOPLE[who] };
    const signed = `${encode({ alg: "ES256", kid: "one", typ: "at+jwt" })}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  };
  return { server, url, token };
}

const WORDS = "Rotate the key every ninety days; the old one stays valid for an hour. Yours was ".split(/(?<= )/);

function upstream() {
  return listen((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const body = Buffer.concat(chunks).toString();
      const asked = body.startsWith("{") ? JSON.parse(body) : {};
      if (!asked.stream) {
        const message = { role: "assistant", content: `It is ghp_${"R2d2C3poBb8xWingTieFighterJediYoda12".slice(0, 36)}.` };
        const answer = { id: "c", object: "chat.completion", model: asked.model, choices: [{ index: 0, message, finish_reason: "stop" }] };
        return response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
      }
      response.setHeader("content-type", "text/event-stream");
      const many = Number(/many:(\d+)/.exec(body)?.[1] ?? 0);
      const words = many ? Array.from({ length: many }, (_, index) => `w${index} `) : [...WORDS, "ghp_R2d2C3poBb8xWing", "TieFighterJediYoda12", " before."];
      for (const [index, content] of words.entries()) {
        const choice = { index: 0, delta: { content }, finish_reason: null };
        const more = response.write(`data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", model: asked.model, choices: [choice] })}\n\n`);
        if (!many) await new Promise((done) => setTimeout(done, index % 5 === 0 ? 60 : 15));
        else if (!more) await new Promise((done) => response.once("drain", done));
      }
      response.end("data: [DONE]\n\n");
    });
  });
}

function configuration(directory, parts) {
  const policy = join(directory, "house.yaml");
  writeFileSync(policy, POLICY);
  const key = join(directory, "master.key");
  writeFileSync(key, randomBytes(32).toString("hex"), { mode: 0o600 });
  const loopback = { address: "127.0.0.1:0" };
  const config = {
    data_dir: join(directory, "data"),
    master_key: `file://${key}`,
    listen: { data: loopback, admin: loopback },
    issuers: [{ name: "house", url: parts.issuer.url, audiences: [AUDIENCE], algorithms: ["ES256"] }, ...parts.issuers],
    connections: [
      { name: "openai", kind: "openai", upstream: parts.upstream.url, credential: { secret: "env://HOUSE_KEY", inject: "bearer" }, tags: { env: "production", team: "search" }, owner: "group:model-owners" },
      { name: "claude", kind: "anthropic", upstream: parts.upstream.url, credential: { secret: "env://HOUSE_KEY", inject: { header: "x-api-key" } }, tags: { env: "production" } },
    ],
    policies: ["house.yaml"],
    roles: { auditor: ["group:security"], admin: ["group:platform"] },
    journal: { min_free_bytes: "16MiB" },
    drain: "2s",
    ...parts.config,
  };
  const file = join(directory, "keyward.yaml");
  writeFileSync(file, JSON.stringify(config, null, 1));
  return file;
}

/** Starts everything; `config` is laid over the configuration, `issuers` and `env` are had besides. */
export async function house(config = {}, { issuers = [], env: more = {} } = {}) {
  const directory = mkdtempSync(join(tmpdir(), "keyward-ui-"));
  const parts = { issuer: await issuer(), upstream: await upstream(), issuers, config };
  const file = configuration(directory, parts);
  const env = { PATH: process.env.PATH, HOUSE_KEY: "sk-house-0123456789abcdefghij", NO_COLOR: "1", ...more };
  const check = spawnSync(BINARY, ["config", "validate", "--config", file], { env, encoding: "utf8" });
  if (check.status !== 0) throw new Error(`the configuration does not hold: ${check.stderr}${check.stdout}`);
  const child = spawn(BINARY, ["serve", "--config", file], { env, stdio: ["ignore", "ignore", "pipe"] });
  // A test that breaks must not leave it behind.
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  const ready = await new Promise((done, failed) => {
    const said = [];
    createInterface(child.stderr).on("line", (line) => {
      said.push(line);
      if (line.includes('"keyward serves"')) done(JSON.parse(line));
    });
    child.once("exit", () => failed(new Error(said.join("\n"))));
  });
  const token = parts.issuer.token;
  const call = (who, path, body, headers = {}) =>
    fetch(`http://${ready.data}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${token(who)}`, prefer: "respond-async", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    });
  return {
    admin: `http://${ready.admin}`,
    token,
    call,
    api: (who, path, init = {}) =>
      fetch(`http://${ready.admin}${path}`, { ...init, headers: { authorization: `Bearer ${token(who)}`, ...init.headers } }),
    async held(who, path, body) {
      const answer = await call(who, path, body);
      const location = answer.headers.get("location");
      const text = await answer.text();
      if (answer.status !== 202) throw new Error(`${path}: not held but ${answer.status} ${text}`);
      return location.split("/").at(-1);
    },
    async stop() {
      process.off("exit", end);
      child.kill("SIGTERM");
      await new Promise((done) => child.once("exit", done));
      for (const { server } of [parts.issuer, parts.upstream]) {
        server.closeAllConnections();
        server.close();
      }
      rmSync(directory, { recursive: true });
    },
  };
}

/** A chat with a guarded model, which is held. */
export const chat = (content, more = {}) => ({ model: "guarded-large", messages: [{ role: "user", content }], ...more });

/** Hostile text: markup, direction, invisible and look-alike characters, terminal sequences, and blank to hide behind. */
export const HOSTILE = `<img src=x onerror=alert(1)> [click](javascript:alert(2)) {{7*7}} https://evil.example/
run \u202Egpj.exe\u202C now, pa\u200Bssword, p\u0430ypal.com, \u001B[31mred\u001B[0m, null\u0000 and\u00A0tab\tdone
${"\n".repeat(10_000)}DELETE EVERYTHING`;
