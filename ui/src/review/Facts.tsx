import { Link } from "@tanstack/react-router";
import type { ApprovalView, EscalationView, PrincipalView, Risk } from "../api/types";
import { personName } from "../lib/words";
import { Icon } from "../parts/Icon";
import { RiskMark } from "../parts/RiskMark";
import { Copy } from "../parts/Snippet";
import { Ago, Moment } from "../parts/Time";
import { Visible } from "../parts/Visible";
import { Fact } from "./Operation";

export function Signals({ risk }: { risk: Risk }) {
  return (
    <section className="section" aria-label="Risk">
      <h3>
        Risk <RiskMark score={risk.score} />
      </h3>
      {risk.signals.length > 0 && (
        <ul className="signals">
          {risk.signals.map((signal) => (
            <li key={signal.name}>
              <span className="points">{signal.points > 0 ? `+${signal.points}` : signal.points}</span>
              <div>
                <strong>
                  <Visible text={signal.name.replaceAll("_", " ")} />
                </strong>
                <p>
                  <Visible text={signal.why} />
                </p>
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** Who asks, with everything that their token says of them. */
export function Requester({ who, session }: { who: PrincipalView; session?: string }) {
  return (
    <section className="section" aria-label="Requester">
      <h3>Who asks</h3>
      <dl className="facts">
        <Fact name={who.kind}>
          <Visible text={personName(who)} />
        </Fact>
        <Fact name="Vouched for by">
          <Visible text={who.issuer} />
        </Fact>
        {who.acting_for.length > 0 && (
          <Fact name="On behalf of">
            <Visible text={who.acting_for.map(personName).join(", for ")} />
          </Fact>
        )}
        <Fact name="Groups">
          {who.groups.length === 0 ? (
            <span className="muted">none</span>
          ) : (
            <span className="chips">
              {who.groups.map((group) => (
                <span key={group} className="chip">
                  <Visible text={group} />
                </span>
              ))}
            </span>
          )}
        </Fact>
        {session && (
          <Fact name="Session">
            <Link to="/sessions/$id" params={{ id: session }}>
              what else they did in it
            </Link>
          </Fact>
        )}
      </dl>
    </section>
  );
}

/** Which rule asks for a decision, who may give it, and what exactly it is bound to. */
export function Binding({ approval }: { approval: ApprovalView }) {
  return (
    <section className="section" aria-label="Rule and binding">
      <h3>What the decision covers</h3>
      <dl className="facts">
        <Fact name="Rule">
          <code>
            <Visible text={approval.rule} />
          </code>
        </Fact>
        <Fact name="Asked for">
          <Moment at={approval.created_at} />
        </Fact>
        <Fact name="Who may decide" broad>
          <Approvers lists={approval.approvers} needed={approval.approvals_needed} />
        </Fact>
        {approval.escalations.length > 0 && (
          <Fact name="Where nobody decides" broad>
            <Escalations all={approval.escalations} />
          </Fact>
        )}
        {approval.secrets && approval.secrets.length > 0 && (
          <Fact name="Secrets that will be used" broad>
            <span className="chips">
              {approval.secrets.map((secret) => (
                <span key={secret} className="chip">
                  <Icon name="key" />
                  <code>
                    <Visible text={secret} />
                  </code>
                </span>
              ))}
            </span>
          </Fact>
        )}
        <Fact name="This exact request, SHA-256" broad>
          <code className="digest">{approval.digest}</code> <Copy text={approval.digest} label="the digest" />
        </Fact>
        <Fact name="Policy">
          <code title={approval.policy_version}>{approval.policy_version.slice(0, 16)}</code>
        </Fact>
        {approval.credential_version && (
          <Fact name="Credential's version" broad>
            <code>
              <Visible text={approval.credential_version} />
            </code>
          </Fact>
        )}
      </dl>
      {approval.votes.length > 0 && (
        <ul className="votes">
          {approval.votes.map((vote) => (
            <li key={vote.at + vote.by.subject}>
              <strong>
                <Visible text={personName(vote.by)} />
              </strong>
              {vote.decision === "approve" ? "approved" : "denied"} <Ago at={vote.at} />
              {vote.reason && (
                <span className="muted">
                  “<Visible text={vote.reason} />”
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Approvers({ lists, needed }: { lists: string[][]; needed: number }) {
  return (
    <span className="chips">
      {needed > 1 ? `${needed} people of` : "one of"}
      {lists.map((list, index) => (
        <span key={index} className="chips">
          {index > 0 && "and one of"}
          {list.map((who) => (
            <Approver key={who} who={who} />
          ))}
        </span>
      ))}
    </span>
  );
}

/** Who may decide as well because it waits: since when, or from when on. */
export function Escalations({ all }: { all: EscalationView[] }) {
  return all.map(({ list, to, at, escalated }) => (
    <span key={`${list} ${at}`} className="chips">
      {escalated ? "escalated to" : "escalates to"}
      {to.map((who) => (
        <Approver key={who} who={who} />
      ))}
      <span>
        at <Moment at={at} />
      </span>
    </span>
  ));
}

/** Somebody who may decide: a group, or a person by issuer and subject. */
export function Approver({ who }: { who: string }) {
  return (
    <span className="chip">
      <Visible text={who.startsWith("group:") ? who.slice("group:".length) : who} />
      {who.startsWith("group:") && <span className="muted">group</span>}
    </span>
  );
}
