// The names that the interface uses for what the API's own description calls its parts.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type ApprovalRow = Schemas["ApprovalRow"];
export type StateView = Schemas["StateView"];
export type PrincipalView = Schemas["PrincipalView"];
export type OperationView = Schemas["OperationView"];
export type HeaderView = Schemas["HeaderView"];
export type Person = Schemas["Person"];
export type VoteView = Schemas["VoteView"];
export type EscalationView = Schemas["EscalationView"];
export type SessionRow = Schemas["SessionRow"];
export type SessionList = Schemas["SessionList"];
export type SessionView = Schemas["SessionView"];
export type ExchangeView = Schemas["ExchangeView"];
export type ContentView = Schemas["ContentView"];
export type Piece = Schemas["Piece"];
export type ConnectionView = Schemas["ConnectionView"];
export type Readiness = Schemas["Readiness"];
export type JournalView = Schemas["JournalView"];
export type PolicyView = Schemas["PolicyView"];
export type ExplanationView = Schemas["ExplanationView"];
export type LockView = Schemas["LockView"];
export type TokenView = Schemas["TokenView"];
export type MadeToken = Schemas["MadeToken"];
export type GrantView = Schemas["GrantView"];
export type TrialView = Schemas["TrialView"];
export type Problem = Schemas["Problem"];

/** Who the caller is; `csrf` is there for browsers that signed in. */
export type Whoami = Schemas["Whoami"];

/** How dangerous a call looks, 0 to 100, and what adds to it. */
export type Risk = Schemas["RiskView"];

/** Fields that newer gateways add; shown where they are there. */
interface Additions {
  session?: string;
  nudged_at?: string;
}

export type ApprovalView = Schemas["ApprovalView"] & Additions;
export type ApprovalItem = ApprovalRow;
