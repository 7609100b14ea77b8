// What pages know of their own addresses. Apart from the router, which imports the pages.
import { getRouteApi } from "@tanstack/react-router";
import type { SessionFilter, View } from "../api/queries";
import { localPath, problemCode } from "../lib/noSignIn";

type Raw = Record<string, unknown>;

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
const yes = (value: unknown) => (value === true || value === "true" ? true : undefined);

export interface InboxSearch {
  view?: View;
  state?: "all";
  q?: string;
  id?: string;
}

export const inboxSearch = (raw: Raw): InboxSearch => ({
  view: raw.view === "mine" || raw.view === "all" ? raw.view : undefined,
  state: raw.state === "all" ? "all" : undefined,
  q: text(raw.q),
  id: text(raw.id),
});

export const sessionsSearch = (raw: Raw): SessionFilter => ({
  principal: text(raw.principal),
  connection: text(raw.connection),
  since: text(raw.since),
  until: text(raw.until),
  mine: yes(raw.mine),
});

export interface SessionSearch {
  exchange?: string;
  show?: "raw";
}

export const sessionSearch = (raw: Raw): SessionSearch => ({
  exchange: text(raw.exchange),
  show: raw.show === "raw" ? "raw" : undefined,
});

export interface PoliciesSearch {
  q?: string;
  request?: string;
}

export const policiesSearch = (raw: Raw): PoliciesSearch => ({ q: text(raw.q), request: text(raw.request) });

export interface AccessSearch {
  mine?: boolean;
}

export const accessSearch = (raw: Raw): AccessSearch => ({ mine: yes(raw.mine) });

export interface SignInSearch {
  problem?: string;
  next?: string;
  fresh?: boolean;
}

export const signInSearch = (raw: Raw): SignInSearch => ({
  problem: problemCode(raw.problem),
  next: localPath(raw.next),
  fresh: yes(raw.fresh),
});

export const inboxRoute = getRouteApi("/inbox");
export const waitingRoute = getRouteApi("/approvals/$id");
export const sessionsRoute = getRouteApi("/sessions");
export const sessionRoute = getRouteApi("/sessions/$id");
export const policiesRoute = getRouteApi("/policies");
export const accessRoute = getRouteApi("/access");
