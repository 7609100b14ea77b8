import { Button, Modal, MultiSelect, NumberInput, Select, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { post } from "../api/client";
import { connections, windows } from "../api/queries";
import type { GrantView } from "../api/types";
import { type NewWindowForm, newWindow, SPANS, WORDS_BYTES_MAX } from "../lib/newWindow";
import { CLASSES, personName } from "../lib/words";
import { Trouble } from "../parts/Trouble";
import { useChange } from "../parts/useChange";
import { Visible } from "../parts/Visible";
import { WordsDialog } from "../parts/WordsDialog";
import { WindowScope } from "./Windows";

const EMPTY: NewWindowForm = { connection: null, classes: [], seconds: "3600", uses: "", reason: "" };

/** Asks for a window; who would approve each call finds it in the inbox. */
export function AskWindowDialog({ onClose }: { onClose: () => void }) {
  const [form, setForm] = useState(EMPTY);
  const places = useQuery(connections).data?.connections.map(({ name }) => name) ?? [];
  const ask = () => post<GrantView>("api/v1/grants", newWindow(form));
  const { run, pending, error } = useChange(ask, windows.all, onClose);
  const set = (change: Partial<NewWindowForm>) => setForm((old) => ({ ...old, ...change }));
  const long = new TextEncoder().encode(form.reason).length > WORDS_BYTES_MAX;
  const ready = !!form.connection && form.classes.length > 0 && form.reason.trim() !== "" && !long;
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (ready) run();
  };
  return (
    <Modal opened onClose={onClose} title="Ask for a window" closeButtonProps={{ "aria-label": "Close" }}>
      <form className="dialog" onSubmit={send}>
        <Select
          label="On which connection?"
          placeholder="Choose one"
          data={places}
          value={form.connection}
          onChange={(connection) => set({ connection })}
          searchable
          data-autofocus
        />
        <MultiSelect
          label="For which operations?"
          placeholder={form.classes.length > 0 ? undefined : "Choose at least one"}
          data={CLASSES}
          value={form.classes}
          onChange={(classes) => set({ classes })}
          searchable
          hidePickedOptions
          maxDropdownHeight={200}
        />
        <Select
          label="For how long?"
          data={SPANS}
          value={form.seconds}
          onChange={(seconds) => set({ seconds: seconds ?? EMPTY.seconds })}
          allowDeselect={false}
        />
        <NumberInput
          label="For how many calls?"
          description="Empty: any number."
          min={1}
          allowDecimal={false}
          value={form.uses}
          onChange={(uses) => set({ uses })}
        />
        <Textarea
          label="Why?"
          description="Who approves it reads this."
          value={form.reason}
          onChange={(event) => set({ reason: event.currentTarget.value })}
          autosize
          minRows={2}
          maxRows={6}
          error={long ? "At most 1,024 bytes" : undefined}
        />
        {error && <Trouble error={error} />}
        <div className="acts">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button type="submit" loading={pending} disabled={!ready}>
            Ask
          </Button>
        </div>
      </form>
    </Modal>
  );
}

interface Props {
  grant: GrantView;
  onClose: () => void;
}

const change = (grant: GrantView, action: string) => (reason: string) =>
  post(`api/v1/grants/${encodeURIComponent(grant.id)}/${action}`, { reason: reason.trim() });

function Which({ grant }: { grant: GrantView }) {
  return (
    <>
      <p className="sentence">
        <Visible text={grant.reason} />, of <Visible text={personName(grant.requester)} />
      </p>
      <WindowScope grant={grant} />
    </>
  );
}

/** Ends a window. */
export function EndWindowDialog({ grant, onClose }: Props) {
  return (
    <WordsDialog
      title="End this window?"
      label="Why? (optional)"
      button="End it"
      bytesMax={WORDS_BYTES_MAX}
      deny
      change={change(grant, "revoke")}
      concerns={windows.all}
      onClose={onClose}
    >
      <Which grant={grant} />
      <p className="muted">
        Calls of it that are under way end with an error, and the next one needs an approval again.
      </p>
    </WordsDialog>
  );
}

/** Signs for a break-glass. */
export function SignDialog({ grant, onClose }: Props) {
  return (
    <WordsDialog
      title="Sign for this break-glass?"
      label="What did you find?"
      button="Sign"
      bytesMax={WORDS_BYTES_MAX}
      needed
      change={change(grant, "review")}
      concerns={windows.all}
      onClose={onClose}
    >
      <Which grant={grant} />
      <p className="muted">You looked at what was done while the glass was broken, and say so with your name.</p>
    </WordsDialog>
  );
}
