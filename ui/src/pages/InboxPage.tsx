import { SegmentedControl, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useRef } from "react";
import { pollEvery } from "../api/live";
import { approvals, type View } from "../api/queries";
import type { ApprovalItem } from "../api/types";
import { useKeys } from "../app/keys";
import { type InboxSearch, inboxRoute } from "../app/routes";
import { useWide } from "../lib/useWide";
import { personName, plain, sentence, short } from "../lib/words";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Icon } from "../parts/Icon";
import { Page } from "../parts/Page";
import { RiskMark } from "../parts/RiskMark";
import { Sentence } from "../parts/Sentence";
import { State } from "../parts/State";
import { Ago, Left } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { Review } from "../review/Review";

const VIEWS: { value: View; label: string }[] = [
  { value: "team", label: "To decide" },
  { value: "mine", label: "Mine" },
  { value: "all", label: "All I see" },
];

/** Calls that wait: what one may decide, what one asked for, and, for roles, everything. */
export function InboxPage() {
  const search = inboxRoute.useSearch();
  const navigate = useNavigate({ from: "/inbox" });
  const wide = useWide();
  const field = useRef<HTMLInputElement>(null);
  const view = search.view ?? "team";
  const list = useQuery({ ...approvals(view, search.state ?? "live"), refetchInterval: pollEvery });
  const rows = useMemo(() => arranged(list.data?.approvals ?? [], view, search.q), [list.data, view, search.q]);
  const chosen = search.id ?? (wide ? rows[0]?.id : undefined);
  const set = (change: InboxSearch) => navigate({ search: (old) => ({ ...old, ...change }), replace: true });

  const step = (by: number) => {
    const at = rows.findIndex((row) => row.id === chosen);
    const next = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
    if (!next) return;
    set({ id: next.id });
    document.getElementById(`item-${next.id}`)?.scrollIntoView({ block: "nearest" });
  };
  useKeys("Inbox", [
    { keys: "j", label: "Next call", run: () => step(1) },
    { keys: "k", label: "Call before", run: () => step(-1) },
    { keys: "Enter", label: "Read the call", run: () => (chosen ? open(chosen) : step(0)) },
    { keys: "/", label: "Search in the list", run: () => field.current?.focus() },
    { keys: "Escape", label: "Back to the list", run: () => set({ id: undefined }) },
  ]);
  const open = (id: string) => {
    set({ id });
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".reviewpane")?.focus());
  };

  return (
    <Page
      title="Inbox"
      wide
      tools={
        <>
          <SegmentedControl
            aria-label="Which calls"
            data={VIEWS}
            value={view}
            onChange={(value) => set({ view: value === "team" ? undefined : (value as View), id: undefined })}
          />
          <SegmentedControl
            aria-label="In which state"
            data={[
              { value: "live", label: "Open" },
              { value: "all", label: "With history" },
            ]}
            value={search.state ?? "live"}
            onChange={(value) => set({ state: value === "all" ? "all" : undefined, id: undefined })}
          />
          <span className="grow" />
          <TextInput
            ref={field}
            aria-label="Search in the list"
            placeholder="Search"
            leftSection={<Icon name="search" />}
            rightSection={<kbd>/</kbd>}
            value={search.q ?? ""}
            onChange={(event) => set({ q: event.currentTarget.value || undefined })}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
          />
        </>
      }
    >
      {list.isError && !list.data ? (
        <Trouble error={list.error} retry={() => list.refetch()} />
      ) : list.isPending ? (
        <Bones rows={8} />
      ) : rows.length === 0 && !search.id ? (
        <Nothing view={view} filtered={Boolean(search.q)} />
      ) : (
        <div className="inbox" data-open={search.id !== undefined}>
          <nav className="listpane" aria-label="Calls">
            <ul>
              {rows.map((row) => (
                <li key={row.id}>
                  <Item row={row} chosen={row.id === chosen} />
                </li>
              ))}
            </ul>
            {list.data.next && <p className="hint more">Only the newest are listed.</p>}
          </nav>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
          <section className="reviewpane" aria-label="Review" tabIndex={0}>
            {chosen ? <Review key={chosen} id={chosen} /> : null}
          </section>
        </div>
      )}
    </Page>
  );
}

function Item({ row, chosen }: { row: ApprovalItem; chosen: boolean }) {
  const waiting = row.state === "pending";
  return (
    <Link
      id={`item-${row.id}`}
      to="/inbox"
      search={(old) => ({ ...old, id: row.id })}
      className="item"
      aria-current={chosen || undefined}
      activeProps={{}}
      activeOptions={{ exact: true }}
    >
      <span className="what">
        <Sentence parts={short(row.operation)} />
      </span>
      <span className="end">{waiting ? <Left until={row.expires_at} /> : <State state={row.state} />}</span>
      <span className="by">
        <Visible text={personName(row.requester)} />
        <span>
          · <Visible text={row.connection} /> ·
        </span>
        <Ago at={row.created_at} />
      </span>
      <span className="mark">
        {row.risk.score > 0 ? (
          <RiskMark score={row.risk.score} />
        ) : row.approvals_needed > 1 ? (
          <span className="muted">
            {row.approvals}/{row.approvals_needed}
          </span>
        ) : null}
      </span>
    </Link>
  );
}

/** What waits comes first, the least time left on top; then the rest, the newest on top. */
function arranged(rows: ApprovalItem[], view: View, q: string | undefined): ApprovalItem[] {
  const needle = q?.toLowerCase();
  const text = (row: ApprovalItem) =>
    `${plain(sentence(row))} ${row.operation.path} ${row.rule} ${row.id}`.toLowerCase();
  const waits = (row: ApprovalItem) => (row.state === "pending" ? 0 : 1);
  return rows
    .filter((row) => view !== "team" || row.may_i_decide)
    .filter((row) => !needle || text(row).includes(needle))
    .sort(
      (a, b) =>
        waits(a) - waits(b) ||
        (waits(a) === 0 ? a.expires_at.localeCompare(b.expires_at) : b.created_at.localeCompare(a.created_at)),
    );
}

const RULE = `- id: export-needs-owner
  effect: approve
  when: 'operation.class == "model.export"'
  reason: Exporting weights leaves the perimeter
  approval:
    approvers: ["group:model-owners"]
    min: 1
    bind: request
    ttl: 15m`;

function Nothing({ view, filtered }: { view: View; filtered: boolean }) {
  if (filtered) return <Empty icon="search" title="No call matches the search" />;
  if (view === "mine") {
    return (
      <Empty icon="inbox" title="None of your calls waits" snippet="keyward approvals ls --mine">
        <p>When a rule holds a call of yours, it stands here until somebody decides. The same on the command line:</p>
      </Empty>
    );
  }
  return (
    <Empty icon="check" title="Nothing waits for you" snippet={RULE}>
      <p>Calls come here when a rule asks for a person. A rule of a policy document that does:</p>
    </Empty>
  );
}
