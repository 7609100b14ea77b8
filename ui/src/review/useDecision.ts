import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { post } from "../api/client";
import { approval as approvalQuery } from "../api/queries";
import type { ApprovalView } from "../api/types";

export type Decision = "approve" | "deny" | "cancel" | "nudge";

interface Asked {
  decision: Decision;
  reason: string;
  /** Approves less: within so many seconds. */
  seconds?: number;
}

/** Decides over exactly the request that was shown: its digest goes along. However often it is pressed, it is sent once
 * until there is an answer (catalogue 212). */
export function useDecision(approval: ApprovalView, done: () => void) {
  const client = useQueryClient();
  const under = useRef(false);
  const mutation = useMutation({
    mutationFn: ({ decision, reason, seconds }: Asked) => {
      const body =
        decision === "nudge" ? {} : decision === "cancel" ? { reason } : { reason, digest: approval.digest, seconds };
      return post<ApprovalView>(`api/v1/approvals/${encodeURIComponent(approval.id)}/${decision}`, body);
    },
    onSuccess: (after, { decision }) => {
      if (decision !== "nudge") client.setQueryData(approvalQuery(approval.id).queryKey, after);
      void client.invalidateQueries({ queryKey: ["approvals"] });
      done();
    },
    onError: () => void client.invalidateQueries({ queryKey: approvalQuery(approval.id).queryKey }),
    onSettled: () => {
      under.current = false;
    },
  });
  const decide = (decision: Decision, reason: string, seconds?: number) => {
    if (under.current) return;
    under.current = true;
    mutation.mutate({ decision, reason, seconds });
  };
  return { decide, pending: mutation.isPending, error: mutation.error, reset: mutation.reset };
}
