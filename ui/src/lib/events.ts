// Server-sent events out of the pieces in which a body comes. EventSource cannot send a POST, so this reads what it would.

export interface StreamEvent {
  name: string;
  data: Record<string, unknown>;
}

/** Takes pieces, gives whole events; comments, and what is no JSON object, are left out. */
export function eventReader(): (piece: string) => StreamEvent[] {
  let held = "";
  return (piece) => {
    held += piece;
    const whole = held.split("\n\n");
    held = whole.pop() ?? "";
    return whole.flatMap((event) => read(event) ?? []);
  };
}

function read(event: string): StreamEvent | undefined {
  let name = "";
  let data = "";
  for (const line of event.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data += line.slice(5).trim();
  }
  try {
    const value: unknown = JSON.parse(data);
    if (name && typeof value === "object" && value !== null) return { name, data: value as Record<string, unknown> };
  } catch {
    // A comment, or something that no gateway of ours says.
  }
  return undefined;
}
