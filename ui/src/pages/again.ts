import type { ApprovalView } from "../api/types";
import { shellWord } from "../lib/shell";

/** A curl command for a held call; undefined where its address should not be pasted anywhere. The body is not in it: it
 * is masked here, and only the same bytes are the same request. */
export function again({ connection, operation }: Pick<ApprovalView, "connection" | "operation">): string | undefined {
  const query = operation.query ? `?${operation.query}` : "";
  const target = shellWord(`${connection}${operation.path}${query}`);
  const method = shellWord(operation.method);
  if (!target || !method || operation.query.includes("[REDACTED")) return undefined;
  const body = operation.body_bytes ? " \\\n  -H 'content-type: application/json' --data-binary @body.json" : "";
  const verb = method === "GET" ? "" : `-X ${method} `;
  return `curl ${verb}"$KEYWARD"/${target} \\\n  -H "authorization: Bearer $KEYWARD_TOKEN"${body}`;
}
