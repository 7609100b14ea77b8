import { Button, Modal, Select, Textarea } from "@mantine/core";
import { type KeyboardEvent, useState } from "react";
import type { ApprovalView } from "../api/types";
import { sentence } from "../lib/words";
import { Sentence } from "../parts/Sentence";
import { Trouble } from "../parts/Trouble";
import { useDecision } from "./useDecision";

/** What the gateway takes as a reason, in bytes. */
const REASON_BYTES_MAX = 4096;

/** Less than was asked for, in seconds; nothing: as it was asked for. */
const LESS_WINDOW = [
  { value: "", label: "As long as was asked for" },
  { value: "600", label: "10 minutes at most" },
  { value: "1800", label: "30 minutes at most" },
  { value: "3600", label: "An hour at most" },
];
const LESS_CALL = [
  { value: "", label: "The time that the rule gives" },
  { value: "60", label: "A minute" },
  { value: "300", label: "5 minutes" },
];

interface Props {
  approval: ApprovalView;
  decision: "approve" | "deny";
  onClose: () => void;
}

/** Says once more what will happen, takes a reason, and decides. */
export function DecideDialog({ approval, decision, onClose }: Props) {
  const [reason, setReason] = useState("");
  const [less, setLess] = useState("");
  const { decide, pending, error } = useDecision(approval, onClose);
  const deny = decision === "deny";
  const long = new TextEncoder().encode(reason).length > REASON_BYTES_MAX;
  const window = approval.operation.class === "access.grant";
  const send = () => !long && decide(decision, reason, deny || !less ? undefined : Number(less));
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
            : window
              ? "It opens at once, and no longer than was asked for. SHA-256 "
              : "Exactly this request goes through, once. SHA-256 "}
          {!deny && <code title={approval.digest}>{approval.digest.slice(0, 16)}…</code>}
        </p>
        {!deny && (
          <Select
            label={window ? "Open for how long?" : "It may run within"}
            data={window ? LESS_WINDOW : LESS_CALL}
            value={less}
            onChange={(value) => setLess(value ?? "")}
            allowDeselect={false}
          />
        )}
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
