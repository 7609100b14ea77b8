import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useFeature } from "../api/features";
import { pollEvery } from "../api/live";
import { approval as approvalQuery, whoami } from "../api/queries";
import type { ApprovalView, PrincipalView } from "../api/types";
import { waitingRoute } from "../app/routes";
import { sentence } from "../lib/words";
import { Bones } from "../parts/Bones";
import { Page } from "../parts/Page";
import { Sentence } from "../parts/Sentence";
import { Snippet } from "../parts/Snippet";
import { Ago, Left } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { Approvers, Escalations } from "../review/Facts";
import { useDecision } from "../review/useDecision";
import { again } from "./again";

/** Where the link in a refusal leads: how a held call stands, for whoever sent it. */
export function WaitingPage() {
  const { id } = waitingRoute.useParams();
  const { data, error, refetch } = useQuery({ ...approvalQuery(id), refetchInterval: pollEvery });
  return (
    <Page title="A held call">
      {error && !data ? (
        <Trouble error={error} retry={() => refetch()} />
      ) : data ? (
        <Held approval={data} />
      ) : (
        <Bones rows={6} />
      )}
    </Page>
  );
}

const HEADLINE: Record<ApprovalView["state"], string> = {
  pending: "Waiting for a person",
  approved: "Approved",
  denied: "Denied",
  expired: "Nobody decided in time",
  cancelled: "Withdrawn",
  stale: "No longer valid",
  consumed: "Done",
};

function Held({ approval }: { approval: ApprovalView }) {
  const me = useQuery(whoami).data?.principal;
  const mine = me !== undefined && isMine(approval, me);
  return (
    <div className="waiting">
      <section className="standing" data-state={approval.state} aria-live="polite">
        <div>
          <h2>{HEADLINE[approval.state]}</h2>
          <Meaning approval={approval} mine={mine} />
        </div>
        {(approval.state === "pending" || approval.state === "approved") && (
          <p className="clock">
            <Left until={approval.expires_at} />
            <small>left</small>
          </p>
        )}
      </section>
      <section className="section">
        <h3>The call</h3>
        <p className="sentence">
          <Sentence parts={sentence(approval)} />
        </p>
        {approval.reason && (
          <p className="because">
            Held because: <Visible text={approval.reason} />
          </p>
        )}
      </section>
      {approval.state === "pending" && (
        <section className="section">
          <h3>Who can approve it</h3>
          <p>
            <Approvers lists={approval.approvers} needed={approval.approvals_needed} />
          </p>
          {approval.escalations.length > 0 && (
            <p>
              <Escalations all={approval.escalations} />
            </p>
          )}
          {approval.approvals_needed > 1 && (
            <p className="muted">
              {approval.approvals} of {approval.approvals_needed} have.
            </p>
          )}
        </section>
      )}
      <Acts approval={approval} mine={mine} />
      {mine && approval.state !== "cancelled" && <Again approval={approval} />}
    </div>
  );
}

function isMine(approval: ApprovalView, me: PrincipalView): boolean {
  const { requester } = approval;
  return [requester, ...requester.acting_for].some((who) => who.issuer === me.issuer && who.subject === me.subject);
}

function Meaning({ approval, mine }: { approval: ApprovalView; mine: boolean }) {
  const last = approval.votes.at(-1);
  switch (approval.state) {
    case "pending":
      return <p>It has not reached its destination. A client that waits gets its answer by itself.</p>;
    case "approved":
      return (
        <p>
          {mine ? "Send exactly the same request again" : "The same request goes through"}, once, until the time is
          over.
        </p>
      );
    case "consumed":
      return (
        <p>
          It was approved and sent
          {approval.ended_at && (
            <>
              {" "}
              <Ago at={approval.ended_at} />
            </>
          )}
          .
        </p>
      );
    case "denied":
      return (
        <p>
          {last?.reason ? (
            <>
              “<Visible text={last.reason} />”
            </>
          ) : (
            "No reason was given."
          )}
        </p>
      );
    case "stale":
      return <p>The policy, the credential or the connection changed. Send the request again to ask anew.</p>;
    case "expired":
      return <p>Send the request again to ask anew.</p>;
    default:
      return <p>It will not be sent.</p>;
  }
}

function Acts({ approval, mine }: { approval: ApprovalView; mine: boolean }) {
  const canNudge = useFeature("/api/v1/approvals/{id}/nudge");
  const { decide, pending, error } = useDecision(approval, () => undefined);
  const live = approval.state === "pending" || approval.state === "approved";
  return (
    <>
      {error && <Trouble error={error} />}
      <div className="acts">
        {approval.may_i_decide && approval.state === "pending" && (
          <Button component={Link} to={`/inbox?id=${encodeURIComponent(approval.id)}`}>
            Review and decide
          </Button>
        )}
        {mine && approval.state === "pending" && canNudge && (
          <Button variant="default" loading={pending} onClick={() => decide("nudge", "")}>
            Remind the approvers
          </Button>
        )}
        {approval.nudged_at && (
          <span className="muted">
            reminded <Ago at={approval.nudged_at} />
          </span>
        )}
        {mine && live && (
          <Button variant="default" loading={pending} onClick={() => decide("cancel", "")}>
            Withdraw it
          </Button>
        )}
      </div>
    </>
  );
}

function Again({ approval }: { approval: ApprovalView }) {
  const command = again(approval);
  return (
    <section className="section">
      <h3>
        Run it again <small>the same bytes; anything else is another request and asks anew</small>
      </h3>
      <div className="snippets">
        {approval.state === "pending" && (
          <Snippet text={`keyward approvals wait ${approval.id}`} label="the command that waits" />
        )}
        {command ? (
          <Snippet text={command} label="the command that sends it" />
        ) : (
          <p className="muted">
            The address holds characters that nobody should paste into a shell; use the client that sent it.
          </p>
        )}
      </div>
    </section>
  );
}
