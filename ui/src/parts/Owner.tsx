import type { Person } from "../api/types";
import { personName } from "../lib/words";
import { Visible } from "./Visible";

/** Somebody in a table; who exactly, where one points at it. */
export function Owner({ who }: { who: Person }) {
  return (
    <span title={`${who.issuer}#${who.subject}`}>
      <Visible text={personName(who)} />
    </span>
  );
}
