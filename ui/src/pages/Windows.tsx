import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { windows } from "../api/queries";
import type { GrantView } from "../api/types";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Owner } from "../parts/Owner";
import { Ago, Left } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { AskWindowDialog, EndWindowDialog, SignDialog } from "./WindowDialogs";

const COMMAND = "keyward grants request models --class model.export --for 2h --reason 'nightly backup'";

/** Windows: times in which calls of a kind need no approval of their own, and glass that was broken. */
export function Windows({ mine, asks }: { mine: boolean; asks: boolean }) {
  const { data, error, refetch } = useQuery(windows(mine));
  const [asking, setAsking] = useState(false);
  const [ending, setEnding] = useState<GrantView>();
  const [signing, setSigning] = useState<GrantView>();
  return (
    <section className="windows" aria-labelledby="windows">
      <header className="sectionhead">
        <h2 id="windows">Windows</h2>
        <span className="grow" />
        {asks && (
          <Button variant="default" onClick={() => setAsking(true)}>
            Ask for a window…
          </Button>
        )}
      </header>
      <p className="lead">
        For as long as a window is open, calls of the kinds that it names need no approval of their own. Whoever would
        approve each call opens it, in the inbox.
      </p>
      {error && !data ? (
        <Trouble error={error} retry={() => refetch()} />
      ) : !data ? (
        <Bones rows={2} />
      ) : data.grants.length === 0 ? (
        <Empty icon="clock" title="No window is open or waits" snippet={COMMAND}>
          <p>Ask for one where a rule lets windows be approved:</p>
        </Empty>
      ) : (
        <WindowTable grants={data.grants} onEnd={setEnding} onSign={setSigning} />
      )}
      {asking && <AskWindowDialog onClose={() => setAsking(false)} />}
      {ending && <EndWindowDialog grant={ending} onClose={() => setEnding(undefined)} />}
      {signing && <SignDialog grant={signing} onClose={() => setSigning(undefined)} />}
    </section>
  );
}

interface TableProps {
  grants: GrantView[];
  onEnd: (grant: GrantView) => void;
  onSign: (grant: GrantView) => void;
}

function WindowTable({ grants, onEnd, onSign }: TableProps) {
  return (
    <div className="tablebox">
      <table>
        <thead>
          <tr>
            <th>Window</th>
            <th>Requester</th>
            <th>For</th>
            <th>State</th>
            <th>Calls</th>
            <th>
              <span className="unseen">End or sign</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {grants.map((grant) => (
            <tr key={grant.id}>
              <td>
                <b className="tokenname">
                  <Visible text={grant.reason} />
                </b>
                <small className="muted">
                  <code title={grant.id}>…{grant.id.slice(-8)}</code> · asked <Ago at={grant.created_at} />
                </small>
              </td>
              <td data-label="Requester" className="owner">
                <Owner who={grant.requester} />
              </td>
              <td data-label="For" className="scope">
                <WindowScope grant={grant} />
              </td>
              <td data-label="State">
                <WindowState grant={grant} />
              </td>
              <td data-label="Calls">
                {grant.uses}
                {grant.uses_max != null && ` of ${grant.uses_max}`}
              </td>
              <td className="acts">
                {grant.may_i_review && (
                  <Button size="xs" onClick={() => onSign(grant)} aria-label={`Sign for ${grant.id}`}>
                    Sign…
                  </Button>
                )}
                {grant.may_i_end && (
                  <Button variant="default" size="xs" onClick={() => onEnd(grant)} aria-label={`End ${grant.id}`}>
                    End…
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function WindowState({ grant }: { grant: GrantView }) {
  if (grant.state === "open" && grant.expires_at) return <Left until={grant.expires_at} long />;
  if (grant.state === "pending" && grant.approval) {
    return (
      <Link to="/approvals/$id" params={{ id: grant.approval }}>
        waits for approval
      </Link>
    );
  }
  return <span>{grant.wants_review ? "over, wants a review" : grant.state}</span>;
}

/** Where a window lets calls through, and which. */
export function WindowScope({ grant }: { grant: GrantView }) {
  return (
    <span className="chips">
      <span className="chip">
        <Visible text={grant.connection} />
      </span>
      {grant.break_glass && <span className="chip broad">break-glass: every operation</span>}
      {grant.classes.map((name) => (
        <span key={name} className="chip">
          <code>{name}</code>
        </span>
      ))}
    </span>
  );
}
