import { Button, Checkbox } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { tokens, whoami } from "../api/queries";
import type { TokenView } from "../api/types";
import { useKeys } from "../app/keys";
import { accessRoute } from "../app/routes";
import { same } from "../lib/people";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Owner } from "../parts/Owner";
import { Page } from "../parts/Page";
import { Ago, Left } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { MakeTokenDialog, RevokeDialog } from "./TokenDialog";
import { Windows } from "./Windows";

const COMMAND = "OPENAI_API_KEY=$(keyward token openai) your-tool";

/** Client tokens, which tools that cannot sign in call with, and windows. */
export function AccessPage() {
  const { mine } = accessRoute.useSearch();
  const navigate = useNavigate({ from: "/access" });
  const me = useQuery(whoami).data;
  const audits = (me?.roles.length ?? 0) > 0;
  const { data, error, refetch } = useQuery(tokens(mine ?? false));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<TokenView>();
  const makes = me !== undefined && me.principal.kind !== "agent";
  useKeys("Access", makes ? [{ keys: "n", label: "Make a token", run: () => setMaking(true) }] : []);
  const may = (token: TokenView) => me !== undefined && (me.roles.includes("admin") || same(token.owner, me.principal));
  return (
    <Page
      title="Access"
      tools={
        <>
          <span className="grow" />
          {audits && (
            <Checkbox
              label="Only mine"
              checked={mine ?? false}
              onChange={(event) =>
                navigate({ search: { mine: event.currentTarget.checked || undefined }, replace: true })
              }
            />
          )}
          {makes && <Button onClick={() => setMaking(true)}>Make a token…</Button>}
        </>
      }
    >
      <p className="lead">
        A client token lets a tool that cannot sign in make its owner's calls, on the connections that it names and for
        a day at most. Its text is shown once; here are the names of those that hold.
      </p>
      {error && !data ? (
        <Trouble error={error} retry={() => refetch()} />
      ) : !data ? (
        <Bones rows={4} />
      ) : data.tokens.length === 0 ? (
        <Empty icon="key" title="No client token holds" snippet={COMMAND}>
          <p>Make one here, or on the command line, right where the tool wants its API key:</p>
        </Empty>
      ) : (
        <TokenTable tokens={data.tokens} may={may} onRevoke={setRevoking} />
      )}
      <Windows mine={mine ?? false} asks={makes} />
      {making && <MakeTokenDialog onClose={() => setMaking(false)} />}
      {revoking && <RevokeDialog token={revoking} onClose={() => setRevoking(undefined)} />}
    </Page>
  );
}

interface TableProps {
  tokens: TokenView[];
  may: (token: TokenView) => boolean;
  onRevoke: (token: TokenView) => void;
}

function TokenTable({ tokens, may, onRevoke }: TableProps) {
  return (
    <div className="tablebox">
      <table>
        <thead>
          <tr>
            <th>Token</th>
            <th>Owner</th>
            <th>For</th>
            <th>Ends</th>
            <th>Last used</th>
            <th>
              <span className="unseen">Revoke</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => (
            <tr key={token.id}>
              <td>
                <b className="tokenname">{token.name ? <Visible text={token.name} /> : "without a name"}</b>
                <small className="muted">
                  <code title={token.id}>…{token.id.slice(-8)}</code> · made <Ago at={token.created_at} />
                </small>
              </td>
              <td data-label="Owner" className="owner">
                <Owner who={token.owner} />
              </td>
              <td data-label="For" className="scope">
                <Scope token={token} />
              </td>
              <td data-label="Ends">
                <Left until={token.expires_at} long />
              </td>
              <td data-label="Last used">
                {token.last_used_at ? <Ago at={token.last_used_at} /> : <span className="muted">never</span>}
              </td>
              <td className="acts">
                {may(token) && (
                  <Button
                    variant="default"
                    size="xs"
                    onClick={() => onRevoke(token)}
                    aria-label={`Revoke ${token.name || token.id}`}
                  >
                    Revoke…
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

/** Where a token may call, and what. */
export function Scope({ token }: { token: Pick<TokenView, "connections" | "classes"> }) {
  return (
    <span className="chips">
      {token.connections?.map((name) => (
        <span key={name} className="chip">
          <Visible text={name} />
        </span>
      )) ?? <span className="chip broad">all connections</span>}
      {token.classes?.map((name) => (
        <span key={name} className="chip">
          <code>{name}</code>
        </span>
      ))}
    </span>
  );
}
