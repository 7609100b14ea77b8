// What was said in an exchange, out of its bodies. Reads what the common dialects say and leaves everything else to the
// raw view: a transcript that is missing something says so by being absent.

export interface Turn {
  role: string;
  text: string;
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function field(value: Json | undefined, name: string): Json | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value[name] : undefined;
}

const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);
const string = (value: Json | undefined): string => (typeof value === "string" ? value : "");

/** The text of a message's content: a string, or a list of parts. */
function content(value: Json | undefined): string {
  if (typeof value === "string") return value;
  const parts = list(value).map((part) => {
    const text = string(field(part, "text")) || string(field(part, "input_text")) || content(field(part, "content"));
    if (text) return text;
    const kind = string(field(part, "type")) || "part";
    return kind === "tool_use" ? call(field(part, "name"), field(part, "input")) : `⟨${kind}⟩`;
  });
  return parts.join("\n");
}

function call(name: Json | undefined, input: Json | undefined): string {
  return `${string(name)}(${typeof input === "string" ? input : JSON.stringify(input ?? {})})`;
}

function calls(message: Json | undefined): string {
  const each = list(field(message, "tool_calls")).map((it) => {
    const called = field(it, "function");
    return call(field(called, "name"), field(called, "arguments"));
  });
  return each.join("\n");
}

const turn = (role: string, ...texts: string[]): Turn => ({ role, text: texts.filter(Boolean).join("\n") });

/** The turns that a request holds. */
export function asked(body: string): Turn[] {
  const request = parse(body);
  const system = content(field(request, "system")) || string(field(request, "instructions"));
  const input = field(request, "input");
  const messages = list(field(request, "messages")).concat(list(input));
  const turns = messages.map((it) =>
    turn(string(field(it, "role")) || "input", content(field(it, "content")), calls(it)),
  );
  if (system) turns.unshift(turn("system", system));
  if (typeof input === "string") turns.push(turn("user", input));
  const prompt = field(request, "prompt");
  if (typeof prompt === "string") turns.push(turn("user", prompt));
  return turns;
}

/** The turns of an answer, from JSON or from a stream of events. */
export function answered(body: string): Turn[] {
  const whole = parse(body);
  return whole === undefined ? streamed(body) : answer(whole);
}

function answer(whole: Json): Turn[] {
  const choices = list(field(whole, "choices")).map((it) => {
    const message = field(it, "message");
    return turn(
      string(field(message, "role")) || "assistant",
      content(field(message, "content")),
      calls(message),
      string(field(it, "text")),
    );
  });
  const output = list(field(whole, "output")).map((it) =>
    turn(string(field(it, "role")) || "assistant", content(field(it, "content"))),
  );
  const direct = field(whole, "content");
  const claude = direct === undefined ? [] : [turn(string(field(whole, "role")) || "assistant", content(direct))];
  return [...choices, ...output, ...claude].filter(({ text }) => text !== "");
}

function streamed(body: string): Turn[] {
  const channels = new Map<string, string>();
  const add = (channel: string, text: string) => text && channels.set(channel, (channels.get(channel) ?? "") + text);
  for (const line of body.split("\n")) {
    if (!line.startsWith("data:")) continue;
    const event = parse(line.slice("data:".length));
    for (const choice of list(field(event, "choices"))) {
      const delta = field(choice, "delta");
      const index = Number(field(choice, "index") ?? 0);
      const role = index === 0 ? "assistant" : `assistant ${index + 1}`;
      add(role, string(field(delta, "content")) || string(field(choice, "text")));
      for (const it of list(field(delta, "tool_calls"))) {
        const called = field(it, "function");
        const name = string(field(called, "name"));
        add(
          `tool call ${Number(field(it, "index") ?? 0) + 1}`,
          (name ? `${name} ` : "") + string(field(called, "arguments")),
        );
      }
    }
    const delta = field(event, "delta");
    if (typeof delta === "string" && string(field(event, "type")).endsWith("output_text.delta"))
      add("assistant", delta);
    else
      add(
        field(delta, "partial_json") === undefined ? "assistant" : "tool call",
        string(field(delta, "text")) || string(field(delta, "partial_json")),
      );
  }
  return [...channels].map(([role, text]) => ({ role, text }));
}
