import { Button, SegmentedControl, Select, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { post } from "../api/client";
import { connections } from "../api/queries";
import type { TrialView } from "../api/types";
import { type Kind, METHODS, missing, type TrialForm, takesBody, trial } from "../lib/trial";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { RuleLists } from "./RuleList";

const EMPTY: TrialForm = {
  connection: "",
  method: "POST",
  path: "/v1/chat/completions",
  body: "",
  who: "",
  kind: "user",
  groups: [],
};
const KINDS = [
  { value: "user", label: "Person" },
  { value: "service", label: "Service" },
  { value: "agent", label: "Agent" },
];
const BODY = `{"model": "…", "messages": [{"role": "user", "content": "…"}]}`;

/** What the policy in force would say of a request. Nothing is sent; the form is kept nowhere. */
export function TryRequest() {
  const [form, setForm] = useState(EMPTY);
  const [faulty, setFaulty] = useState<string>();
  const list = useQuery(connections).data?.connections.map(({ name }) => name) ?? [];
  const tried = useMutation({
    mutationFn: (asked: TrialForm) => post<TrialView>("api/v1/policy/try", trial(asked)),
    gcTime: 0,
  });
  // Of one connection there is nothing to choose.
  const filled = { ...form, connection: form.connection || (list.length === 1 ? (list[0] ?? "") : "") };
  const set = (change: Partial<TrialForm>) => {
    setForm((old) => ({ ...old, ...change }));
    setFaulty(undefined);
  };
  const ask = (event: FormEvent) => {
    event.preventDefault();
    const fault = missing(filled);
    setFaulty(fault);
    if (!fault) tried.mutate(filled);
  };
  return (
    <>
      <form className="card trial" onSubmit={ask}>
        <Select
          label="Connection"
          placeholder="Which"
          data={list}
          value={filled.connection || null}
          onChange={(connection) => set({ connection: connection ?? "" })}
          allowDeselect={false}
          searchable
        />
        <Select
          className="narrow"
          label="Method"
          data={METHODS}
          value={form.method}
          onChange={(method) => set({ method: method ?? EMPTY.method })}
          allowDeselect={false}
        />
        <TextInput
          className="broad"
          label="Path below the connection"
          value={form.path}
          onChange={(event) => set({ path: event.currentTarget.value })}
        />
        <TextInput
          label="Who calls"
          placeholder="alice, or https://idp.example.com#alice"
          value={form.who}
          onChange={(event) => set({ who: event.currentTarget.value })}
        />
        <div>
          <span className="fieldname" id="trial-kind">
            What they are
          </span>
          <SegmentedControl
            fullWidth
            aria-labelledby="trial-kind"
            data={KINDS}
            value={form.kind}
            onChange={(kind) => set({ kind: kind as Kind })}
          />
        </div>
        <TagsInput
          label="Groups"
          placeholder={form.groups.length > 0 ? undefined : "Enter after each"}
          value={form.groups}
          onChange={(groups) => set({ groups })}
          acceptValueOnBlur
        />
        {takesBody(form.method) && (
          <Textarea
            className="whole"
            label="Body"
            placeholder={BODY}
            value={form.body}
            onChange={(event) => set({ body: event.currentTarget.value })}
            autosize
            minRows={3}
            maxRows={14}
            spellCheck={false}
          />
        )}
        <div className="whole acts">
          <span className="say" role="status">
            {faulty ?? "Nothing is sent, and nobody is asked."}
          </span>
          <Button type="submit" loading={tried.isPending}>
            Try it
          </Button>
        </div>
      </form>
      {tried.error && <Trouble error={tried.error} />}
      {tried.data && !tried.isPending && <Outcome tried={tried.data} />}
    </>
  );
}

const VERDICT: Record<string, string> = {
  allow: "It would be allowed",
  approve: "It would be held for approval",
  block: "It would be blocked",
};

function Outcome({ tried }: { tried: TrialView }) {
  if (tried.refused) {
    return (
      <section className="card explained" aria-label="What would come of it" data-verdict="block">
        <p className="sentence">The gateway would refuse it before any rule is asked.</p>
        <p>
          <Visible text={tried.refused} />
        </p>
      </section>
    );
  }
  const { operation, masks } = tried;
  return (
    <section className="card explained" aria-label="What would come of it" data-verdict={tried.verdict ?? undefined}>
      <p className="sentence">
        {VERDICT[tried.verdict ?? ""] ?? tried.verdict}{" "}
        {tried.rule ? (
          <>
            by the rule <Visible text={tried.rule} />.
          </>
        ) : (
          "because no rule allows it."
        )}
      </p>
      {tried.reason && (
        <p>
          The caller would read: “<Visible text={tried.reason} />”
        </p>
      )}
      {tried.approval && (
        <p>
          It would wait for <Visible text={tried.approval} />.
        </p>
      )}
      <p className="muted">
        {operation && (
          <>
            Understood as <code>{operation.class}</code>
            {operation.model && (
              <>
                {" "}
                of the model <Visible text={operation.model} />
              </>
            )}{" "}
            ·{" "}
          </>
        )}
        policy <code title={tried.policy}>{tried.policy.slice(0, 16)}</code>
      </p>
      {masks.length > 0 && (
        <ul className="masks">
          {masks.map((mask, index) => (
            <li key={index}>
              <code>
                <Visible text={mask.rule} />
              </code>{" "}
              masks <Visible text={mask.detect.join(", ") || "named fields"} /> in {mask.places.join(", ")}
            </li>
          ))}
        </ul>
      )}
      <RuleLists rules={tried.rules} given={tried.given} />
    </section>
  );
}
