// What pages ask for, by name, so that one change refreshes all that show it.
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, probe, setCsrf } from "./client";
import type {
  ApprovalItem,
  ApprovalView,
  ConnectionView,
  ContentView,
  ExplanationView,
  GrantView,
  JournalView,
  LockView,
  PolicyView,
  Readiness,
  SessionList,
  SessionView,
  TokenView,
  Whoami,
} from "./types";

export const whoami = queryOptions({
  queryKey: ["whoami"],
  queryFn: async ({ signal }) => {
    const me = await get<Whoami>("api/v1/whoami", {}, signal);
    setCsrf(me.csrf ?? undefined);
    return me;
  },
  staleTime: 60_000,
});

export type View = "mine" | "team" | "all";

/** Rows in one page of the inbox. */
const ROWS = 100;

export const approvals = (view: View, state: string) =>
  queryOptions({
    queryKey: ["approvals", "list", view, state],
    queryFn: ({ signal }) =>
      get<{ approvals: ApprovalItem[]; next?: string }>(
        "api/v1/approvals",
        { state, mine: view === "mine", limit: ROWS },
        signal,
      ),
    placeholderData: keepPreviousData,
  });

export const approval = (id: string) =>
  queryOptions({
    queryKey: ["approvals", "one", id],
    queryFn: ({ signal }) => get<ApprovalView>(`api/v1/approvals/${encodeURIComponent(id)}`, {}, signal),
  });

export interface SessionFilter {
  principal?: string;
  connection?: string;
  since?: string;
  until?: string;
  mine?: boolean;
}

export const sessionPage = (filter: SessionFilter, before: string | undefined, signal: AbortSignal) =>
  get<SessionList>("api/v1/sessions", { ...filter, before, limit: 100 }, signal);

export const sessionPart = (id: string, after: string | undefined, signal: AbortSignal) =>
  get<SessionView>(`api/v1/sessions/${encodeURIComponent(id)}`, { after, limit: 500 }, signal);

export const contentPart = (session: string, exchange: string, from: number, signal: AbortSignal) =>
  get<ContentView>(
    `api/v1/sessions/${encodeURIComponent(session)}/exchanges/${encodeURIComponent(exchange)}`,
    { from: from || undefined },
    signal,
  );

export const explanation = (request: string) =>
  queryOptions({
    queryKey: ["explanation", request],
    queryFn: ({ signal }) =>
      get<ExplanationView>(`api/v1/requests/${encodeURIComponent(request)}/explanation`, {}, signal),
  });

export const connections = queryOptions({
  queryKey: ["connections"],
  queryFn: ({ signal }) => get<{ connections: ConnectionView[] }>("api/v1/connections", {}, signal),
});

export const policy = queryOptions({
  queryKey: ["policy"],
  queryFn: ({ signal }) => get<PolicyView>("api/v1/policy", {}, signal),
});

export const journal = queryOptions({
  queryKey: ["journal"],
  queryFn: ({ signal }) => get<JournalView>("api/v1/journal", {}, signal),
});

export const locks = queryOptions({
  queryKey: ["locks"],
  queryFn: ({ signal }) => get<{ locks: LockView[] }>("api/v1/locks", {}, signal),
  refetchInterval: 15_000,
});

export const tokens = Object.assign(
  (mine: boolean) =>
    queryOptions({
      queryKey: ["tokens", mine],
      queryFn: ({ signal }) => get<{ tokens: TokenView[] }>("api/v1/tokens", { mine }, signal),
      refetchInterval: 15_000,
      placeholderData: keepPreviousData,
    }),
  /** What a change of tokens concerns. */
  { all: ["tokens"] as const },
);

export const windows = Object.assign(
  (mine: boolean) =>
    queryOptions({
      queryKey: ["grants", mine],
      queryFn: ({ signal }) => get<{ grants: GrantView[] }>("api/v1/grants", { mine }, signal),
      refetchInterval: 5_000,
      placeholderData: keepPreviousData,
    }),
  /** What a change of windows concerns. */
  { all: ["grants"] as const },
);

export const readiness = queryOptions({
  queryKey: ["readyz"],
  queryFn: () => probe<Readiness>("readyz"),
  refetchInterval: 10_000,
});
