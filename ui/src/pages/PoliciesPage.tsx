import { Button, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useRef, useState } from "react";
import { policy, whoami } from "../api/queries";
import { useKeys } from "../app/keys";
import { policiesRoute } from "../app/routes";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Icon } from "../parts/Icon";
import { Page } from "../parts/Page";
import { Copy } from "../parts/Snippet";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { Explanation } from "./Explanation";
import { TryRequest } from "./TryRequest";

/** The rules in force, why a request was decided as it was, and what would come of another. */
export function PoliciesPage() {
  const { q, request } = policiesRoute.useSearch();
  const navigate = useNavigate({ from: "/policies" });
  const [asked, setAsked] = useState(request ?? "");
  const field = useRef<HTMLInputElement>(null);
  const audits = (useQuery(whoami).data?.roles.length ?? 0) > 0;
  useKeys("Policies", [{ keys: "/", label: "Search in the rules", run: () => field.current?.focus() }]);
  const ask = (event: FormEvent) => {
    event.preventDefault();
    void navigate({ search: (old) => ({ ...old, request: asked.trim() || undefined }) });
  };
  return (
    <Page title="Policies">
      <section className="section">
        <h2>Why was it decided so?</h2>
        <form className="ask" onSubmit={ask}>
          <TextInput
            aria-label="Request"
            placeholder="req_… from a refusal, a session or the log"
            value={asked}
            onChange={(event) => setAsked(event.currentTarget.value)}
          />
          <Button type="submit" variant="default">
            Explain
          </Button>
        </form>
        {request && <Explanation key={request} request={request} />}
      </section>
      {audits && (
        <section className="section gap">
          <h2>
            What would come of a request? <small>by the rules in force</small>
          </h2>
          <TryRequest />
        </section>
      )}
      <section className="section gap">
        <h2>Rules in force</h2>
        {audits ? (
          <Rules
            q={q}
            field={field}
            setQ={(value) => navigate({ search: (old) => ({ ...old, q: value || undefined }), replace: true })}
          />
        ) : (
          <Empty
            icon="policies"
            title="Rules are shown to auditors and administrators"
            snippet={"roles: {auditor: ['group:security']}"}
          >
            <p>Whoever runs the gateway gives roles to groups in keyward.yaml:</p>
          </Empty>
        )}
      </section>
    </Page>
  );
}

function Rules({
  q,
  setQ,
  field,
}: {
  q?: string;
  setQ: (value: string) => void;
  field: React.RefObject<HTMLInputElement | null>;
}) {
  const { data, error, refetch } = useQuery(policy);
  if (error && !data) return <Trouble error={error} retry={() => refetch()} />;
  if (!data) return <Bones />;
  const rules = data.rules.filter((rule) => rule.toLowerCase().includes((q ?? "").toLowerCase()));
  return (
    <>
      <div className="ask">
        <TextInput
          ref={field}
          aria-label="Search in the rules"
          placeholder="Search"
          leftSection={<Icon name="search" />}
          value={q ?? ""}
          onChange={(event) => setQ(event.currentTarget.value)}
        />
        <span className="muted">
          {rules.length} of {data.rules.length} · version <code title={data.version}>{data.version.slice(0, 16)}</code>{" "}
          <Copy text={data.version} label="the policy's version" />
        </span>
      </div>
      <ul className="rules">
        {rules.map((rule) => (
          <li key={rule}>
            <code>
              <Visible text={rule} />
            </code>
          </li>
        ))}
      </ul>
    </>
  );
}
