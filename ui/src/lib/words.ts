// Sentences: what a call does, said once, in the same words everywhere.
import type { ApprovalItem, OperationView, Person, PrincipalView } from "../api/types";

export interface Part {
  text: string;
  /** It comes from the call or from a token, not from us. */
  theirs?: boolean;
}

/** What each class of operation does; `%` stands for what it does it to. */
const DEEDS: Record<string, string> = {
  "chat.completions": "send a chat to %",
  responses: "ask % for a response",
  realtime: "talk with % over a WebSocket",
  embeddings: "compute embeddings with %",
  rerank: "rank documents with %",
  images: "make images with %",
  audio: "transcribe or speak with %",
  moderations: "have content judged by %",
  "batch.create": "start a batch of calls to %",
  "files.read": "read the file %",
  "files.write": "upload the file %",
  "files.delete": "delete the file %",
  "models.list": "list the models",
  "model.infer": "run %",
  "model.load": "load % into the server",
  "model.unload": "unload % from the server",
  "access.grant": "open a window for calls without an approval of their own",
  "model.export": "export the weights of %",
  "lora.load": "load an adapter into %",
  "finetune.create": "fine-tune %",
  "admin.config": "change the server's configuration",
  "metrics.read": "read the server's metrics",
  "tool.call": "let % call tools",
  "mcp.list": "list the tools of an MCP server",
  "mcp.call": "call a tool of an MCP server",
  "resource.read": "read a resource",
  "sql.read": "read from the database",
  "sql.write": "change data in the database",
  "sql.ddl": "change the database's structure",
  "sql.admin": "administer the database",
  "redis.read": "read from Redis",
  "redis.write": "write to Redis",
  "redis.admin": "administer Redis",
  "http.read": "read from an HTTP API",
  "http.write": "change something through an HTTP API",
  "grpc.call": "make a gRPC call",
  "file.read": "read the file %",
  "file.write": "write the file %",
  "shell.exec": "run a shell command",
  "secret.read": "read a secret",
  "secret.write": "change a secret",
};

/** Every class of operation that Keyward tells apart. */
export const CLASSES = Object.keys(DEEDS);

export function personName(who: Person | PrincipalView): string {
  return who.name && who.name !== who.subject ? `${who.name} (${who.subject})` : who.subject;
}

/** What an operation does, as the end of "… wants to". */
export function deed(operation: OperationView): Part[] {
  const known = DEEDS[operation.class];
  if (!known) return [{ text: "make a call that Keyward does not understand" }];
  const [before = "", after] = known.split("%");
  if (after === undefined) return [{ text: before }];
  const file = before.includes("file");
  const thing = file ? operation.file : operation.model;
  const parts: Part[] = [{ text: file ? before.replace(/ the file $/, " ") : before }];
  if (thing) parts.push({ text: file ? "the file " : "the model " }, { text: thing, theirs: true });
  else parts.push({ text: file ? "a file" : "a model" });
  if (after) parts.push({ text: after });
  return parts;
}

/** The same for a list, where every word counts. */
export function short(operation: OperationView): Part[] {
  return deed(operation).filter(({ text }) => text !== "the model " && text !== "the file ");
}

/** One sentence: who wants to do what, where, for whom. */
export function sentence(it: Pick<ApprovalItem, "requester" | "operation" | "connection">): Part[] {
  const { requester, operation, connection } = it;
  const kind = requester.kind === "user" ? "" : `The ${requester.kind} `;
  const parts: Part[] = [];
  if (kind) parts.push({ text: kind });
  parts.push({ text: personName(requester), theirs: true });
  const behalf = requester.acting_for.map(personName);
  behalf.forEach((name, index) => {
    parts.push({ text: index === 0 ? ", acting for " : ", who acts for " }, { text: name, theirs: true });
  });
  parts.push({ text: behalf.length > 0 ? ", wants to " : " wants to " }, ...deed(operation));
  parts.push({ text: " over the connection " }, { text: connection, theirs: true });
  const tools = operation.tools.length;
  if (operation.class === "access.grant") parts.push({ text: `, for ${operation.tools.join(", ")}` });
  else if (tools > 0) parts.push({ text: `, with ${tools} ${tools === 1 ? "tool" : "tools"}` });
  parts.push({ text: "." });
  return parts;
}

export function plain(parts: Part[]): string {
  return parts.map((part) => part.text).join("");
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** A length with its exact number of bytes: "1.5 MiB (1,572,864 bytes)". */
export function size(bytes: number, exact = true): string {
  const exactly = `${bytes.toLocaleString("en")} ${bytes === 1 ? "byte" : "bytes"}`;
  if (bytes < 1024) return exactly;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const short = `${(bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`;
  return exact ? `${short} (${exactly})` : short;
}

/** A span of time in its two largest units: "4 m 09 s". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const pad = (value: number) => String(value).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${pad(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} m`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** The same, as short as a column wants it. */
export function shortSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Seconds count when little is left. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds >= 3600) return span(ms);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
