import { useQuery } from "@tanstack/react-query";
import { journal, readiness, whoami } from "../api/queries";
import { Bones } from "../parts/Bones";
import { Page } from "../parts/Page";
import { Copy } from "../parts/Snippet";
import { Moment } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { Fact } from "../review/Operation";

const PARTS: Record<string, { title: string; says: string }> = {
  journal: { title: "Journal", says: "Each call is recorded before it is sent. Without it no call goes through." },
  database: { title: "Database", says: "Approvals and sealed secrets. Calls that need no approval do not need it." },
  identity: { title: "Identity", says: "The keys of at least one issuer are at hand, so callers can be told apart." },
};

/** Whether governed calls can be served, and why not. */
export function HealthPage() {
  const { data, error, refetch } = useQuery(readiness);
  const me = useQuery(whoami).data;
  const audits = (me?.roles.length ?? 0) > 0;
  return (
    <Page title="Health">
      {error && !data ? (
        <Trouble error={error} retry={() => refetch()} />
      ) : !data ? (
        <Bones />
      ) : (
        <>
          <section className="standing" data-state={data.ready ? "consumed" : "denied"} aria-live="polite">
            <div>
              <h2>{data.ready ? "Everything works" : "Calls are refused"}</h2>
              <p>
                {data.ready
                  ? "Governed calls are served."
                  : "Keyward refuses what it cannot decide or record. It goes on by itself when the part below works again."}
              </p>
            </div>
          </section>
          <ul className="cards two">
            {data.parts.map((part) => (
              <li key={part.name} className="card">
                <h2>
                  {PARTS[part.name]?.title ?? part.name}{" "}
                  <span className="state" data-state={part.ok ? "ok" : "bad"}>
                    {part.ok ? "works" : "does not work"}
                  </span>
                </h2>
                <p className="muted">{PARTS[part.name]?.says}</p>
                {part.reason && (
                  <p>
                    <Visible text={part.reason} />
                  </p>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      <section className="section gap">
        <h3>Proof</h3>
        {audits ? (
          <Journal />
        ) : (
          <p className="muted">The journal's public key is shown to auditors and administrators.</p>
        )}
      </section>
      {me && (
        <section className="section gap">
          <h3>You</h3>
          <dl className="facts card">
            <Fact name="Signed in as" broad>
              <Visible text={`${me.principal.issuer}#${me.principal.subject}`} />
            </Fact>
            <Fact name="Roles">{me.roles.join(", ") || "none"}</Fact>
            <Fact name="Until">
              <Moment at={me.token_expires_at} />
            </Fact>
            <Fact name="Groups">
              <Visible text={me.principal.groups.join(", ") || "none"} />
            </Fact>
          </dl>
        </section>
      )}
    </Page>
  );
}

function Journal() {
  const { data, error } = useQuery(journal);
  if (error) return <Trouble error={error} />;
  if (!data) return <Bones rows={2} />;
  return (
    <div className="card">
      <p>
        The journal is signed with this key; <code>keyward verify</code> on the gateway's machine proves its content.
      </p>
      <p>
        <code className="digest">{data.verifier}</code> <Copy text={data.verifier} label="the journal's public key" />
      </p>
    </div>
  );
}
