import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { useFeature } from "../api/features";
import { sessionPart, whoami } from "../api/queries";
import type { ExchangeView } from "../api/types";
import { useKeys } from "../app/keys";
import { sessionRoute } from "../app/routes";
import { same } from "../lib/people";
import { useWide } from "../lib/useWide";
import { personName, short } from "../lib/words";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Icon } from "../parts/Icon";
import { Page } from "../parts/Page";
import { Sentence } from "../parts/Sentence";
import { Ago, Lasted } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { Exchange } from "./Exchange";
import { KillDialog } from "./KillDialog";
import { End } from "./SessionTable";

const ROW_PX = 58;

/** One caller's exchanges on one connection, and what was said in each. */
export function SessionPage() {
  const { id } = sessionRoute.useParams();
  const { exchange } = sessionRoute.useSearch();
  const navigate = useNavigate({ from: "/sessions/$id" });
  const wide = useWide();
  const parts = useInfiniteQuery({
    queryKey: ["session", id],
    queryFn: ({ pageParam, signal }) => sessionPart(id, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  });
  const list = useMemo(() => parts.data?.pages.flatMap((page) => page.requests) ?? [], [parts.data]);
  const session = parts.data?.pages[0];
  const chosen = exchange ?? (wide ? list[0]?.id : undefined);
  const at = list.findIndex((it) => it.id === chosen);
  const go = (index: number) => {
    const next = list[Math.min(Math.max(index, 0), list.length - 1)];
    if (next) void navigate({ search: (old) => ({ ...old, exchange: next.id }), replace: true });
  };
  useKeys("Session", [
    { keys: "j", label: "Next exchange", run: () => go(at + 1) },
    { keys: "k", label: "Exchange before", run: () => go(at - 1) },
    {
      keys: "Escape",
      label: "Back to the list",
      run: () => navigate({ search: { exchange: undefined }, replace: true }),
    },
  ]);
  const me = useQuery(whoami).data;
  const canKill = useFeature("/api/v1/sessions/{id}/kill");
  const mayKill = me !== undefined && (me.roles.includes("admin") || same(session?.principal, me.principal));
  const [killing, setKilling] = useState(false);
  return (
    <Page
      wide
      title={
        session ? (
          <>
            <Visible text={personName(session.principal)} /> on <Visible text={session.connection} />
          </>
        ) : (
          "Session"
        )
      }
      tools={
        session && (
          <>
            <p className="muted">
              began <Ago at={session.opened_at} /> · {session.exchanges} calls · from <code>{session.peer}</code>
            </p>
            <span className="grow" />
            {canKill && mayKill && !session.closed_at && (
              <Button variant="default" onClick={() => setKilling(true)}>
                End it…
              </Button>
            )}
          </>
        )
      }
    >
      {parts.isError && !session ? (
        <Trouble error={parts.error} retry={() => parts.refetch()} />
      ) : parts.isPending ? (
        <Bones rows={8} />
      ) : list.length === 0 ? (
        <Empty icon="sessions" title="No call of it reached the upstream">
          <p>What was refused or held leaves no exchange; the ledger has its decision.</p>
        </Empty>
      ) : (
        <div className="inbox" data-open={exchange !== undefined}>
          <List
            list={list}
            chosen={chosen}
            more={parts.hasNextPage ? () => parts.fetchNextPage() : undefined}
            loading={parts.isFetchingNextPage}
            failed={parts.isFetchNextPageError}
          />
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
          <section className="reviewpane" aria-label="Exchange" tabIndex={0}>
            {chosen && <Exchange key={chosen} session={id} exchange={chosen} summary={list[at]} />}
          </section>
        </div>
      )}
      {killing && <KillDialog session={id} onClose={() => setKilling(false)} />}
    </Page>
  );
}

interface ListProps {
  list: ExchangeView[];
  chosen: string | undefined;
  more: (() => void) | undefined;
  loading: boolean;
  failed: boolean;
}

function List({ list, chosen, more, loading, failed }: ListProps) {
  const scroll = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: list.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
  });
  const items = virtual.getVirtualItems();
  // Whoever comes near the end of what is here gets what follows.
  const near = (items.at(-1)?.index ?? 0) >= list.length - 1;
  useEffect(() => {
    if (near && more && !loading && !failed) more();
  }, [near, more, loading, failed]);
  return (
    <nav ref={scroll} className="listpane" aria-label="Exchanges">
      <ul style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {items.map(({ key, index, start }) => {
          const it = list[index];
          return it ? (
            <li
              key={key}
              data-index={index}
              className="at"
              style={{ transform: `translateY(${start}px)`, height: ROW_PX }}
            >
              <Row it={it} chosen={it.id === chosen} />
            </li>
          ) : null;
        })}
      </ul>
      {more && (
        <div className="more">
          <Button variant="default" loading={loading} onClick={more}>
            More exchanges
          </Button>
        </div>
      )}
    </nav>
  );
}

function Row({ it, chosen }: { it: ExchangeView; chosen: boolean }) {
  const masked = it.findings.reduce((sum, { count }) => sum + count, 0);
  return (
    <Link
      to="."
      search={(old) => ({ ...old, exchange: it.id })}
      className="item"
      aria-current={chosen || undefined}
      activeOptions={{ exact: true }}
    >
      <span className="what">
        <Sentence parts={short(it.operation)} />
      </span>
      <span className="end">{it.status && <Status status={it.status} />}</span>
      <span className="by">
        <Ago at={it.at} />
        <span>
          · {it.ended_at ? <Lasted from={it.at} to={it.ended_at} /> : "…"}
          {it.end !== "completed" && (
            <>
              {" "}
              · <End end={it.end} />
            </>
          )}
        </span>
      </span>
      <span className="mark">
        {it.approval && <Icon name="check" />}
        {masked > 0 && <span className="marker masked">{masked}</span>}
      </span>
    </Link>
  );
}

export function Status({ status }: { status: number }) {
  return <span className={status >= 400 ? "status bad" : "status"}>{status}</span>;
}
