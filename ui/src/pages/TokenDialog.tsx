import { Button, Modal, MultiSelect, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { post } from "../api/client";
import { connections, tokens } from "../api/queries";
import type { MadeToken, TokenView } from "../api/types";
import { LIVES, NAME_BYTES_MAX, type NewTokenForm, newToken } from "../lib/newToken";
import { CLASSES, personName } from "../lib/words";
import { Icon } from "../parts/Icon";
import { Snippet } from "../parts/Snippet";
import { Left } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { useChange } from "../parts/useChange";
import { Visible } from "../parts/Visible";
import { Scope } from "./AccessPage";

const EMPTY: NewTokenForm = { name: "", all: false, connections: [], classes: [], seconds: "3600" };

/** Makes a token and shows its text, once: it is kept in this dialog alone, and gone with it. */
export function MakeTokenDialog({ onClose }: { onClose: () => void }) {
  const [form, setForm] = useState(EMPTY);
  const [made, setMade] = useState<MadeToken>();
  const make = async () => setMade(await post<MadeToken>("api/v1/tokens", newToken(form)));
  const { run, pending, error } = useChange(make, tokens.all, () => {});
  const set = (change: Partial<NewTokenForm>) => setForm((old) => ({ ...old, ...change }));
  const long = new TextEncoder().encode(form.name).length > NAME_BYTES_MAX;
  const ready = !long && (form.all || form.connections.length > 0);
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (ready) run();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={made ? "Your token" : "Make a client token"}
      closeButtonProps={{ "aria-label": "Close" }}
      // What is shown once must not be lost by a click beside it.
      closeOnClickOutside={false}
      closeOnEscape={!made}
    >
      {made ? (
        <Made made={made} onClose={onClose} />
      ) : (
        <form className="dialog" onSubmit={send}>
          <TextInput
            label="What is it for?"
            description="A name to tell it by."
            placeholder="Nightly evaluation"
            value={form.name}
            onChange={(event) => set({ name: event.currentTarget.value })}
            error={long ? `At most ${NAME_BYTES_MAX} bytes` : undefined}
            data-autofocus
          />
          <Where form={form} set={set} />
          <MultiSelect
            label="For which operations?"
            description="None chosen: all that policy allows."
            placeholder={form.classes.length > 0 ? undefined : "All"}
            data={CLASSES}
            value={form.classes}
            onChange={(classes) => set({ classes })}
            searchable
            hidePickedOptions
            maxDropdownHeight={200}
          />
          <Select
            label="For how long?"
            data={LIVES}
            value={form.seconds}
            onChange={(seconds) => set({ seconds: seconds ?? EMPTY.seconds })}
            allowDeselect={false}
          />
          {error && <Trouble error={error} />}
          <div className="acts">
            <Button variant="default" onClick={onClose}>
              Back
            </Button>
            <Button type="submit" loading={pending} disabled={!ready}>
              Make it
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}

function Where({ form, set }: { form: NewTokenForm; set: (change: Partial<NewTokenForm>) => void }) {
  const { data } = useQuery(connections);
  return (
    <>
      <SegmentedControl
        aria-label="On which connections"
        data={[
          { value: "some", label: "Some connections" },
          { value: "all", label: "All connections" },
        ]}
        value={form.all ? "all" : "some"}
        onChange={(value) => set({ all: value === "all" })}
      />
      {!form.all && (
        <MultiSelect
          label="On which connections?"
          placeholder={form.connections.length > 0 ? undefined : "Choose at least one"}
          data={data?.connections.map(({ name }) => name) ?? []}
          value={form.connections}
          onChange={(names) => set({ connections: names })}
          searchable
          hidePickedOptions
          maxDropdownHeight={200}
        />
      )}
    </>
  );
}

function Made({ made, onClose }: { made: MadeToken; onClose: () => void }) {
  const here = useRef<HTMLDivElement>(null);
  // The form that had the focus is gone. A second Enter copies, and does not close what is shown once.
  useEffect(() => here.current?.querySelector<HTMLElement>("button.copy")?.focus(), []);
  return (
    <div className="dialog" ref={here}>
      <p className="sentence">Copy it now: it is not shown again.</p>
      <Snippet text={made.token} label="the token" />
      <p className="muted once">
        <Icon name="clock" />
        <span>
          <Left until={made.expires_at} long />. The gateway keeps only its hash. Give it to the tool as its API key;
          the <Link to="/connections">connections</Link> say where to.
        </span>
      </p>
      <div className="acts">
        <Button onClick={onClose}>I have it</Button>
      </div>
    </div>
  );
}

export function RevokeDialog({ token, onClose }: { token: TokenView; onClose: () => void }) {
  const revoke = () => post(`api/v1/tokens/${encodeURIComponent(token.id)}/revoke`, {});
  const { run, pending, error } = useChange(revoke, tokens.all, onClose);
  return (
    <Modal opened onClose={onClose} title="Revoke this token?" closeButtonProps={{ "aria-label": "Close" }}>
      <div className="dialog">
        <p className="sentence">
          {token.name ? <Visible text={token.name} /> : "The token"} of <Visible text={personName(token.owner)} /> is
          refused from now on.
        </p>
        <Scope token={token} />
        <p className="muted">What it has under way ends with an error; calls of it that are held never run.</p>
        {error && <Trouble error={error} />}
        <div className="acts">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button color="deny" loading={pending} onClick={run} data-autofocus>
            Revoke
          </Button>
        </div>
      </div>
    </Modal>
  );
}
