import { Button, SegmentedControl } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { contentPart } from "../api/queries";
import type { ContentView, ExchangeView, Piece } from "../api/types";
import { sessionRoute } from "../app/routes";
import { answered, asked, type Turn } from "../lib/transcript";
import { size } from "../lib/words";
import { Bones } from "../parts/Bones";
import { Icon } from "../parts/Icon";
import { Trouble } from "../parts/Trouble";
import { Viewer } from "../parts/Viewer";
import { Visible } from "../parts/Visible";
import { Fact } from "../review/Operation";
import { Rhythm } from "./Rhythm";

interface Props {
  session: string;
  exchange: string;
  summary: ExchangeView | undefined;
}

/** What one exchange said, masked, and in which rhythm. */
export function Exchange({ session, exchange, summary }: Props) {
  const { show } = sessionRoute.useSearch();
  const navigate = useNavigate({ from: "/sessions/$id" });
  const parts = useInfiniteQuery({
    queryKey: ["content", session, exchange],
    queryFn: ({ pageParam, signal }) => contentPart(session, exchange, pageParam, signal),
    initialPageParam: 0,
    getNextPageParam: (last) => last.next ?? undefined,
  });
  const first = parts.data?.pages[0];
  const response = useMemo(() => parts.data?.pages.flatMap((page) => page.response) ?? [], [parts.data]);
  const told = useMemo(
    () => (first ? { request: text(first.request), answer: text(response) } : undefined),
    [first, response],
  );
  const turns = useMemo(() => (told ? [...asked(told.request), ...answered(told.answer)] : []), [told]);
  if (parts.error && !first) return <Trouble error={parts.error} retry={() => parts.refetch()} />;
  if (!first || !told) return <Bones rows={9} />;
  const raw = show === "raw" || turns.length === 0;
  return (
    <article className="review" aria-label="The exchange">
      <div className="inner">
        <Head content={first} summary={summary} />
        <Rhythm pieces={response} />
        <div className="section">
          <h3>
            {turns.length > 0 && (
              <SegmentedControl
                size="xs"
                aria-label="How the exchange is shown"
                data={[
                  { value: "said", label: "Transcript" },
                  { value: "raw", label: "Bytes" },
                ]}
                value={raw ? "raw" : "said"}
                onChange={(value) =>
                  navigate({ search: (old) => ({ ...old, show: value === "raw" ? "raw" : undefined }), replace: true })
                }
              />
            )}
            <small>as recorded, with secrets masked</small>
          </h3>
          {raw ? <Raw content={first} request={told.request} answer={told.answer} /> : <Transcript turns={turns} />}
        </div>
        {parts.hasNextPage && (
          <Button variant="default" loading={parts.isFetchingNextPage} onClick={() => parts.fetchNextPage()}>
            More of the answer
          </Button>
        )}
      </div>
    </article>
  );
}

function Head({ content, summary }: { content: ContentView; summary: ExchangeView | undefined }) {
  const { operation, head } = content;
  return (
    <header>
      <h2 className="unseen">What was said</h2>
      <div className="top">
        <Link to="." search={(old) => ({ ...old, exchange: undefined })} className="back" aria-label="Back to the list">
          <Icon name="back" />
        </Link>
        <Link to="/policies" search={{ request: content.id }}>
          Why was it {summary?.decision === "approve" ? "held" : "allowed"}?
        </Link>
        {summary?.approval && (
          <Link to="/approvals/$id" params={{ id: summary.approval }}>
            The approval
          </Link>
        )}
      </div>
      <div className="operation">
        <div className="line">
          <span className="verb" data-verb={operation.method}>
            {operation.method}
          </span>
          <Visible text={operation.path + (operation.query ? `?${operation.query}` : "")} />
        </div>
        <dl className="facts">
          <Fact name="Status">{head?.status ?? "no answer"}</Fact>
          <Fact name="End">{(content.end ?? summary?.end)?.replaceAll("_", " ") ?? "not here"}</Fact>
          {operation.model && (
            <Fact name="Model">
              <Visible text={operation.model} />
            </Fact>
          )}
          {summary && <Fact name="Sent to the caller">{size(summary.bytes_down)}</Fact>}
          {summary?.rule && (
            <Fact name="Rule">
              <code>
                <Visible text={summary.rule} />
              </code>
            </Fact>
          )}
          {summary?.secret && (
            <Fact name="Secret used">
              <code>
                <Visible text={summary.secret} />
              </code>
            </Fact>
          )}
          {summary && summary.findings.length > 0 && (
            <Fact name="Masked" broad>
              <span className="chips">
                {summary.findings.map(({ detector, count }) => (
                  <span key={detector} className="chip">
                    {detector} <b>{count}</b>
                  </span>
                ))}
              </span>
            </Fact>
          )}
        </dl>
      </div>
    </header>
  );
}

function Transcript({ turns }: { turns: Turn[] }) {
  return (
    <ol className="turns">
      {turns.map((turn, index) => (
        <li key={index} data-role={turn.role}>
          <h4>
            <Visible text={turn.role} />
          </h4>
          <p>
            <Visible text={turn.text} />
          </p>
        </li>
      ))}
    </ol>
  );
}

function Raw({ content, request, answer }: { content: ContentView; request: string; answer: string }) {
  return (
    <div className="snippets">
      <Viewer
        text={headers(content.request_headers) + request}
        label="The request"
        bar="Request"
        missing={content.request_truncated ? "The request is longer than an answer of the API." : undefined}
      />
      <Viewer
        text={headers(content.head?.headers ?? []) + answer}
        label="The answer"
        bar="Answer"
        missing={content.next === undefined ? undefined : "Load more of it below."}
      />
    </div>
  );
}

function headers(list: { name: string; value: string }[]): string {
  return list.length > 0 ? `${list.map(({ name, value }) => `${name}: ${value}`).join("\n")}\n\n` : "";
}

/** Pieces as one text; bytes that are no text are named. */
function text(pieces: Piece[]): string {
  return pieces
    .map((piece) => piece.text ?? `⟨${size(Math.floor(((piece.base64?.length ?? 0) * 3) / 4))} that are no text⟩`)
    .join("");
}
