import type { Person } from "../api/types";

/** Whether two are one: by issuer and subject, never by name. */
export function same(one: Person | undefined, other: Person): boolean {
  return one?.issuer === other.issuer && one.subject === other.subject;
}
