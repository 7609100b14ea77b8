// Sets JSON out over lines without reading it: strings and numbers keep every character, members that come twice stay twice,
// and what is no JSON is left alone. A view to read by; what will be sent are the exact bytes.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;
const DEPTH_MAX = 200;

/** The text over lines; undefined where it is not a JSON object or list, or too deep to help anybody. */
export function pretty(text: string): string | undefined {
  const start = text.trimStart()[0];
  if (start !== "{" && start !== "[") return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const out: string[] = [];
  let depth = 0;
  const tokens = text.match(TOKEN) ?? [];
  const line = () => `\n${"  ".repeat(depth)}`;
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index] ?? "";
    const next = tokens[index + 1];
    if (token === "{" || token === "[") {
      if (next === "}" || next === "]") {
        out.push(token + next);
        index++;
        continue;
      }
      depth++;
      if (depth > DEPTH_MAX) return undefined;
      out.push(token, line());
    } else if (token === "}" || token === "]") {
      depth--;
      out.push(line(), token);
    } else if (token === ",") out.push(token, line());
    else out.push(token === ":" ? ": " : token);
  }
  return out.join("");
}
