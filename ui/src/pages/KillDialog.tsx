import { Button, Modal, Textarea } from "@mantine/core";
import { useState } from "react";
import { post } from "../api/client";
import { Trouble } from "../parts/Trouble";
import { useChange } from "../parts/useChange";

/** What the gateway takes as a reason, in bytes. */
const REASON_BYTES_MAX = 512;

/** Ends a session: what it has under way is cut. */
export function KillDialog({ session, onClose }: { session: string; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const kill = () => post(`api/v1/sessions/${encodeURIComponent(session)}/kill`, { reason });
  const { run, pending, error } = useChange(kill, ["session", session], onClose);
  const long = new TextEncoder().encode(reason).length > REASON_BYTES_MAX;
  return (
    <Modal opened onClose={onClose} title="End this session?" closeButtonProps={{ "aria-label": "Close" }}>
      <div className="dialog">
        <p className="muted">What it has under way is cut. The caller may begin another one; a lock keeps them out.</p>
        <Textarea
          label="Why? (optional)"
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          error={long ? "At most 512 bytes" : undefined}
          autosize
          minRows={2}
          data-autofocus
        />
        {error && <Trouble error={error} />}
        <div className="acts">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button color="deny" loading={pending} disabled={long} onClick={run}>
            End it
          </Button>
        </div>
      </div>
    </Modal>
  );
}
