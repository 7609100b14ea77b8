import { Button, Checkbox, TextInput } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { type SessionFilter, sessionPage, whoami } from "../api/queries";
import { useKeys } from "../app/keys";
import { sessionsRoute } from "../app/routes";
import { Bones } from "../parts/Bones";
import { Empty } from "../parts/Empty";
import { Page } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { SessionTable } from "./SessionTable";

/** Typing is over when nothing came for so long. */
const TYPING_MS = 350;

/** What was recorded, newest first; the filter stands in the address. */
export function SessionsPage() {
  const filter = sessionsRoute.useSearch();
  const navigate = useNavigate({ from: "/sessions" });
  const audits = (useQuery(whoami).data?.roles.length ?? 0) > 0;
  const first = useRef<HTMLInputElement>(null);
  const set = (change: SessionFilter) => navigate({ search: (old) => ({ ...old, ...change }), replace: true });
  useKeys("Sessions", [{ keys: "/", label: "Search by connection or caller", run: () => first.current?.focus() }]);
  const pages = useInfiniteQuery({
    queryKey: ["sessions", filter],
    queryFn: ({ pageParam, signal }) => sessionPage(filter, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  });
  const rows = useMemo(() => pages.data?.pages.flatMap((page) => page.sessions) ?? [], [pages.data]);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  return (
    <Page title="Sessions">
      <search className="filters">
        <Field
          ref={first}
          label="Connection"
          hint="its whole name"
          value={filter.connection}
          set={(connection) => set({ connection })}
        />
        {audits && (
          <Field
            label="Caller"
            hint="part of the name"
            value={filter.principal}
            set={(principal) => set({ principal })}
          />
        )}
        <TextInput
          label="From"
          type="datetime-local"
          value={localInput(filter.since)}
          onChange={(event) => set({ since: moment(event.currentTarget.value) })}
        />
        <TextInput
          label="Until"
          type="datetime-local"
          value={localInput(filter.until)}
          onChange={(event) => set({ until: moment(event.currentTarget.value) })}
        />
        {audits && (
          <Checkbox
            label="Only mine"
            checked={filter.mine ?? false}
            onChange={(event) => set({ mine: event.currentTarget.checked || undefined })}
          />
        )}
        {filtered && (
          <Button variant="subtle" onClick={() => navigate({ search: {}, replace: true })}>
            Clear
          </Button>
        )}
      </search>
      {pages.isError && rows.length === 0 ? (
        <Trouble error={pages.error} retry={() => pages.refetch()} />
      ) : pages.isPending ? (
        <Bones rows={8} />
      ) : rows.length === 0 ? (
        filtered ? (
          <Empty icon="search" title="No session matches" />
        ) : (
          <Empty
            icon="sessions"
            title="Nothing recorded yet"
            snippet={'curl "$KEYWARD"/openai/v1/models -H "authorization: Bearer $KEYWARD_TOKEN"'}
          >
            <p>A session begins with a caller's first call on a connection. For example:</p>
          </Empty>
        )
      ) : (
        <>
          <SessionTable rows={rows} />
          <div className="more">
            {pages.hasNextPage ? (
              <Button variant="default" loading={pages.isFetchingNextPage} onClick={() => pages.fetchNextPage()}>
                Older sessions
              </Button>
            ) : pages.data?.pages.at(-1)?.truncated ? (
              "There are more than are looked through; narrow the time."
            ) : (
              `${rows.length} ${rows.length === 1 ? "session" : "sessions"}, all that there are.`
            )}
          </div>
        </>
      )}
    </Page>
  );
}

interface FieldProps {
  label: string;
  hint: string;
  value: string | undefined;
  set: (value: string | undefined) => void;
  ref?: React.Ref<HTMLInputElement>;
}

/** A text that goes into the address when typing is over. */
function Field({ label, hint, value, set, ref }: FieldProps) {
  const [typed, setTyped] = useState(value ?? "");
  const latest = useRef(set);
  latest.current = set;
  useEffect(() => setTyped(value ?? ""), [value]);
  useEffect(() => {
    if (typed === (value ?? "")) return undefined;
    const timer = setTimeout(() => latest.current(typed.trim() || undefined), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, value]);
  return (
    <TextInput
      ref={ref}
      label={label}
      placeholder={hint}
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
    />
  );
}

/** A field's local time as a moment of the API. */
function moment(text: string): string | undefined {
  const date = new Date(text);
  return text && !Number.isNaN(date.getTime()) ? date.toISOString() : undefined;
}

function localInput(moment: string | undefined): string {
  if (!moment) return "";
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
