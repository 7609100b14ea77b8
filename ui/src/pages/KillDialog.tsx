import { post } from "../api/client";
import { WordsDialog } from "../parts/WordsDialog";

/** What the gateway takes as a reason, in bytes. */
const REASON_BYTES_MAX = 512;

/** Ends a session: what it has under way is cut. */
export function KillDialog({ session, onClose }: { session: string; onClose: () => void }) {
  return (
    <WordsDialog
      title="End this session?"
      label="Why? (optional)"
      button="End it"
      bytesMax={REASON_BYTES_MAX}
      deny
      change={(reason) => post(`api/v1/sessions/${encodeURIComponent(session)}/kill`, { reason })}
      concerns={["session", session]}
      onClose={onClose}
    >
      <p className="muted">What it has under way is cut. The caller may begin another one; a lock keeps them out.</p>
    </WordsDialog>
  );
}
