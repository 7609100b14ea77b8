// The one place that speaks HTTP. Everything goes to the gateway that served this page, below its own base.
import type { Problem } from "./types";

/** Where the interface lives: `/`, or the prefix that a proxy puts before it. */
export const base = new URL(document.baseURI).pathname;

/** An answer that is no success, as the API says it, with what an operator needs to find it in the log. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId?: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | boolean | undefined>;

let csrf: string | undefined;
let skew = 0;

/** Browsers that signed in send this with each change. */
export function setCsrf(value: string | undefined) {
  csrf = value;
}

/** The gateway's clock, as well as its `Date` header tells it: time left must not depend on the reader's clock. */
export function serverNow(): number {
  return Date.now() + skew;
}

export function address(path: string, query: Query = {}): string {
  const url = new URL(base + path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "" && value !== false) url.searchParams.set(name, String(value));
  }
  return url.pathname + url.search;
}

/** The address of a path of the interface, which begins with `/`. */
export function home(path: string): string {
  return base.slice(0, -1) + path;
}

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return read<T>(await send(address(path, query), { signal }));
}

/** Also takes the answer of a probe that says "no" with 503. */
export async function probe<T>(path: string): Promise<T> {
  const response = await send(address(path), {});
  if (response.status === 503 && response.headers.get("content-type") === "application/json") {
    return (await response.json()) as T;
  }
  return read<T>(response);
}

export async function post<T>(path: string, body: object): Promise<T> {
  return read<T>(await posted(path, body));
}

/** A change whose answer comes as a stream, until it ends or `signal` ends it: each piece of its text. */
export async function* stream(path: string, body: object, signal: AbortSignal): AsyncGenerator<string> {
  const response = await posted(path, body, signal);
  if (!response.ok || !response.body) {
    await read(response);
    return;
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield decoder.decode(value, { stream: true });
  }
}

function posted(path: string, body: object, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (csrf) headers["keyward-csrf"] = csrf;
  return send(address(path), { method: "POST", headers, body: JSON.stringify(body), signal });
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, { ...init, credentials: "same-origin", redirect: "error", cache: "no-store" });
    const date = Date.parse(response.headers.get("date") ?? "");
    // The header has whole seconds; less than that is no difference.
    if (!Number.isNaN(date)) skew = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(
      0,
      "unreachable",
      "The gateway does not answer. Nothing was changed that you did not see change.",
    );
  }
}

async function read<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T;
  const id = response.headers.get("keyward-request-id") ?? undefined;
  let problem: Partial<Problem> = {};
  try {
    problem = (await response.json()) as Partial<Problem>;
  } catch {
    // A proxy in between answered with something of its own.
  }
  const message = problem.detail ?? `The gateway answered with status ${response.status}.`;
  throw new ApiError(response.status, problem.code ?? `http_${response.status}`, message, id);
}
