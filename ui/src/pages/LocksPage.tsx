import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { locks, whoami } from "../api/queries";
import type { LockView } from "../api/types";
import { useKeys } from "../app/keys";
import { personName } from "../lib/words";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Page } from "../parts/Page";
import { Ago, Left } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { LiftDialog, LockDialog } from "./LockDialog";

const COMMAND = "keyward locks add user:https://idp.example.com#alice \\\n  --reason 'laptop stolen' --for 2h";

/** Who is kept out at the moment. */
export function LocksPage() {
  const me = useQuery(whoami).data;
  const audits = (me?.roles.length ?? 0) > 0;
  const administers = me?.roles.includes("admin") ?? false;
  const { data, error, refetch } = useQuery({ ...locks, enabled: audits });
  const [adding, setAdding] = useState(false);
  const [lifting, setLifting] = useState<LockView>();
  useKeys("Locks", administers ? [{ keys: "n", label: "Keep somebody out", run: () => setAdding(true) }] : []);
  return (
    <Page
      title="Locks"
      tools={
        administers && (
          <>
            <span className="grow" />
            <Button color="deny" onClick={() => setAdding(true)}>
              Keep somebody out…
            </Button>
          </>
        )
      }
    >
      <p className="lead">
        A lock keeps a person and whoever acts for them, a group, or a connection out from this moment: new calls are
        refused with its reason, what is under way ends.
      </p>
      {!audits ? (
        <Empty icon="lock" title="Locks are shown to auditors and administrators" />
      ) : error && !data ? (
        <Trouble error={error} retry={() => refetch()} />
      ) : !data ? (
        <Bones rows={4} />
      ) : data.locks.length === 0 ? (
        <Empty icon="lock" title="Nobody is kept out" snippet={COMMAND}>
          <p>An administrator locks here, or on the command line:</p>
        </Empty>
      ) : (
        <ul className="cards">
          {data.locks.map((lock) => (
            <li key={lock.id}>
              <Card lock={lock} onLift={administers ? () => setLifting(lock) : undefined} />
            </li>
          ))}
        </ul>
      )}
      {adding && <LockDialog onClose={() => setAdding(false)} />}
      {lifting && <LiftDialog lock={lifting} onClose={() => setLifting(undefined)} />}
    </Page>
  );
}

function Card({ lock, onLift }: { lock: LockView; onLift: (() => void) | undefined }) {
  const [kind, ...rest] = lock.target.split(":");
  return (
    <article className="card locked">
      <div>
        <h2>
          <span className="chip">{kind}</span> <Visible text={rest.join(":")} />
        </h2>
        {lock.reason && (
          <p>
            <Visible text={lock.reason} />
          </p>
        )}
        <p className="muted">
          by <Visible text={personName(lock.created_by)} /> <Ago at={lock.created_at} /> ·{" "}
          {lock.expires_at ? <Left until={lock.expires_at} long /> : "until it is lifted"}
        </p>
      </div>
      {onLift && (
        <Button variant="default" onClick={onLift} aria-label={`Lift the lock of ${lock.target}`}>
          Lift…
        </Button>
      )}
    </article>
  );
}
