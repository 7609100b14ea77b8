import { Button, Modal, Textarea } from "@mantine/core";
import { type KeyboardEvent, useState } from "react";
import type { ApprovalView } from "../api/types";
import { sentence } from "../lib/words";
import { Sentence } from "../parts/Sentence";
import { Trouble } from "../parts/Trouble";
import { useDecision } from "./useDecision";

/** What the gateway takes as a reason, in bytes. */
const REASON_BYTES_MAX = 4096;

interface Props {
  approval: ApprovalView;
  decision: "approve" | "deny";
  onClose: () => void;
}

/** Says once more what will happen, takes a reason, and decides. */
export function DecideDialog({ approval, decision, onClose }: Props) {
  const [reason, setReason] = useState("");
  const { decide, pending, error } = useDecision(approval, onClose);
  const deny = decision === "deny";
  const long = new TextEncoder().encode(reason).length > REASON_BYTES_MAX;
  const send = () => !long && decide(decision, reason);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={deny ? "Deny this call?" : "Approve this call?"}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <div className="dialog">
        <p className="sentence">
          <Sentence parts={sentence(approval)} />
        </p>
        <p className="muted">
          {deny
            ? "It ends at once. Who asked is told your reason."
            : "Exactly this request goes through, once. SHA-256 "}
          {!deny && <code title={approval.digest}>{approval.digest.slice(0, 16)}…</code>}
        </p>
        <Textarea
          label={deny ? "Why not?" : "Why? (optional)"}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          autosize
          minRows={2}
          maxRows={8}
          error={long ? "At most 4,096 bytes" : undefined}
          data-autofocus={deny || undefined}
        />
        {error && <Trouble error={error} />}
        <div className="acts">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button
            color={deny ? "deny" : undefined}
            loading={pending}
            disabled={long}
            onClick={send}
            data-autofocus={!deny || undefined}
          >
            {deny ? "Deny" : "Approve"}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
