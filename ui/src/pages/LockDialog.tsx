import { Button, Modal, SegmentedControl, Select, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { post } from "../api/client";
import { locks } from "../api/queries";
import type { LockView } from "../api/types";
import { Trouble } from "../parts/Trouble";
import { useChange } from "../parts/useChange";
import { Visible } from "../parts/Visible";

const KINDS = [
  {
    value: "user",
    label: "Person",
    hint: "https://idp.example.com#alice",
    help: "Issuer, #, subject: as “You” on the page Health writes it.",
  },
  { value: "group", label: "Group", hint: "contractors", help: "The group's name as tokens have it." },
  { value: "connection", label: "Connection", hint: "openai", help: "The connection's whole name." },
];
const TIMES = [
  { value: "", label: "until it is lifted" },
  { value: "3600", label: "an hour" },
  { value: "28800", label: "8 hours" },
  { value: "86400", label: "a day" },
  { value: "604800", label: "a week" },
];
/** What the gateway takes as a reason, in bytes. */
const REASON_BYTES_MAX = 1024;

export function LockDialog({ onClose }: { onClose: () => void }) {
  const [kind, setKind] = useState("user");
  const [name, setName] = useState("");
  const [reason, setReason] = useState("");
  const [seconds, setSeconds] = useState("");
  const lock = () =>
    post<LockView>("api/v1/locks", {
      target: `${kind}:${name.trim()}`,
      reason,
      ...(seconds && { seconds: Number(seconds) }),
    });
  const { run, pending, error } = useChange(lock, locks.queryKey, onClose);
  const chosen = KINDS.find(({ value }) => value === kind);
  const long = new TextEncoder().encode(reason).length > REASON_BYTES_MAX;
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() && !long) run();
  };
  return (
    <Modal opened onClose={onClose} title="Keep somebody out" closeButtonProps={{ "aria-label": "Close" }}>
      <form className="dialog" onSubmit={send}>
        <SegmentedControl aria-label="Whom" data={KINDS} value={kind} onChange={setKind} />
        <TextInput
          label={chosen?.label}
          description={chosen?.help}
          placeholder={chosen?.hint}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          required
          data-autofocus
        />
        <TextInput
          label="Why?"
          description="Whoever is kept out is told."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          error={long ? "At most 1,024 bytes" : undefined}
        />
        <Select
          label="For how long?"
          data={TIMES}
          value={seconds}
          onChange={(value) => setSeconds(value ?? "")}
          allowDeselect={false}
        />
        {error && <Trouble error={error} />}
        <div className="acts">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button type="submit" color="deny" loading={pending} disabled={!name.trim() || long}>
            Keep out
          </Button>
        </div>
      </form>
    </Modal>
  );
}

export function LiftDialog({ lock, onClose }: { lock: LockView; onClose: () => void }) {
  const lift = () => post(`api/v1/locks/${encodeURIComponent(lock.id)}/lift`, {});
  const { run, pending, error } = useChange(lift, locks.queryKey, onClose);
  return (
    <Modal opened onClose={onClose} title="Lift the lock?" closeButtonProps={{ "aria-label": "Close" }}>
      <div className="dialog">
        <p className="sentence">
          <Visible text={lock.target} /> may call again.
        </p>
        {error && <Trouble error={error} />}
        <div className="acts">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button loading={pending} onClick={run} data-autofocus>
            Lift
          </Button>
        </div>
      </div>
    </Modal>
  );
}
