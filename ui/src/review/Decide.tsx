import { Button, Checkbox } from "@mantine/core";
import { useState } from "react";
import type { ApprovalView } from "../api/types";
import { useKeys } from "../app/keys";
import { stateMeaning } from "../parts/State";
import { Left } from "../parts/Time";
import { Visible } from "../parts/Visible";
import { unseen } from "./Body";
import { DecideDialog } from "./DecideDialog";

/** The bar at the foot of a review: what one may do, and why not. */
export function Decide({ approval }: { approval: ApprovalView }) {
  const [asking, setAsking] = useState<"approve" | "deny">();
  const [ticked, setTicked] = useState(false);
  const open = approval.state === "pending" && approval.may_i_decide;
  // What cannot be seen here is approved only by somebody who says that they know (catalogue 111).
  const blocked = !approval.request.complete && !ticked;
  useKeys(
    "This call",
    open
      ? [
          { keys: "a", label: "Approve", run: () => !blocked && setAsking("approve") },
          { keys: "d", label: "Deny", run: () => setAsking("deny") },
        ]
      : [],
  );
  if (!open) return <Closed approval={approval} />;
  const missing = approval.approvals_needed - approval.approvals;
  return (
    <div className="decide">
      {!approval.request.complete && (
        <Checkbox
          className="tick"
          checked={ticked}
          onChange={(event) => setTicked(event.currentTarget.checked)}
          label="I approve bytes that I have not seen"
          description={unseen(approval)}
        />
      )}
      <div className="row">
        <p className="say">
          Lets exactly this call through, once. <Left until={approval.expires_at} long />
          {approval.approvals_needed > 1 && ` · ${approval.approvals} of ${approval.approvals_needed} approved`}
          {missing > 1 && ", others have to approve too"}
        </p>
        <div className="acts">
          <Button variant="default" onClick={() => setAsking("deny")}>
            Deny…<kbd>d</kbd>
          </Button>
          <Button disabled={blocked} onClick={() => setAsking("approve")}>
            Approve…<kbd>a</kbd>
          </Button>
        </div>
      </div>
      {asking && <DecideDialog approval={approval} decision={asking} onClose={() => setAsking(undefined)} />}
    </div>
  );
}

function Closed({ approval }: { approval: ApprovalView }) {
  const by = approval.votes.at(-1);
  return (
    <div className="decide">
      <p className="row say" role="status">
        {approval.state === "pending" ? (
          <span>
            You cannot decide this: <Visible text={approval.why_not ?? "the rule does not name you."} />
          </span>
        ) : (
          <span>
            {stateMeaning(approval.state)}
            {approval.state === "denied" && by?.reason && (
              <>
                {" "}
                “<Visible text={by.reason} />”
              </>
            )}
          </span>
        )}
      </p>
    </div>
  );
}
