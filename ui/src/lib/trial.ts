// A request to try, as the form has it and as the API takes it.

export const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

export type Kind = "user" | "service" | "agent";

export interface TrialForm {
  connection: string;
  method: string;
  path: string;
  body: string;
  /** `ISSUER#SUBJECT`, or a subject of the asker's own issuer. */
  who: string;
  kind: Kind;
  groups: string[];
}

/** Issuer and subject; a subject alone where there is no `#`. */
export function caller(who: string): { issuer?: string; subject: string } {
  const text = who.trim();
  const at = text.lastIndexOf("#");
  return at > 0 ? { issuer: text.slice(0, at), subject: text.slice(at + 1) } : { subject: text };
}

/** What is sent. A body belongs to methods that have one. */
export function trial({ connection, method, path, body, who, kind, groups }: TrialForm) {
  return {
    connection,
    method,
    path: path.trim(),
    headers: [],
    ...(takesBody(method) && body !== "" && { body }),
    as: { ...caller(who), kind, groups },
  };
}

export function takesBody(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/** What is missing before it can be asked. */
export function missing({ connection, path, who }: TrialForm): string | undefined {
  if (!connection) return "Choose a connection.";
  if (!path.trim().startsWith("/")) return "The path begins with /.";
  if (!caller(who).subject) return "Say who calls.";
  return undefined;
}
