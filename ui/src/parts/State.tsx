import type { StateView } from "../api/types";

const WORDS: Record<StateView, string> = {
  pending: "waiting",
  approved: "approved",
  denied: "denied",
  expired: "expired",
  cancelled: "withdrawn",
  stale: "void",
  consumed: "used",
};

const MEANING: Record<StateView, string> = {
  pending: "It waits for a decision.",
  approved: "It may be sent, once, until its time is over.",
  denied: "Somebody said no.",
  expired: "Nobody decided in time.",
  cancelled: "Who asked withdrew it.",
  stale: "Policy, credential or connection changed since it was asked for.",
  consumed: "It was approved and sent.",
};

export function State({ state }: { state: StateView }) {
  return (
    <span className="state" data-state={state} title={MEANING[state]}>
      {WORDS[state]}
    </span>
  );
}

export function stateMeaning(state: StateView): string {
  return MEANING[state];
}
