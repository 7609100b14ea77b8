import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { pollEvery } from "../api/live";
import { approval as approvalQuery } from "../api/queries";
import { sentence } from "../lib/words";
import { Bones } from "../parts/Bones";
import { Icon } from "../parts/Icon";
import { Sentence } from "../parts/Sentence";
import { State } from "../parts/State";
import { Ago, Left } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { Body } from "./Body";
import { Decide } from "./Decide";
import { Binding, Requester, Signals } from "./Facts";
import { Live } from "./Live";
import { Operation } from "./Operation";

/** One call that waits for a decision, with all that is needed to give it. */
export function Review({ id }: { id: string }) {
  const { data, error, refetch } = useQuery({ ...approvalQuery(id), refetchInterval: pollEvery });
  if (error && !data) return <Trouble error={error} retry={() => refetch()} />;
  if (!data) return <Bones rows={9} />;
  return (
    <article className="review" aria-label="The call to decide">
      <div className="inner">
        <header>
          <div className="top">
            <Link
              to="/inbox"
              search={(old) => ({ ...old, id: undefined })}
              className="back"
              aria-label="Back to the list"
            >
              <Icon name="back" />
            </Link>
            <State state={data.state} />
            {data.state === "pending" && <Left until={data.expires_at} long />}
            <span>
              asked <Ago at={data.created_at} />
            </span>
            <Link to="/approvals/$id" params={{ id: data.id }} title="The page that the requester sees">
              …{data.id.slice(-8)}
            </Link>
          </div>
          <h2 className="sentence">
            <Sentence parts={sentence(data)} />
          </h2>
          {data.reason && (
            <p className="because">
              Held because: <Visible text={data.reason} />
            </p>
          )}
        </header>
        {data.risk.score > 0 && <Signals risk={data.risk} />}
        <Operation approval={data} />
        {data.moderated !== undefined && <Live key={`live ${data.id}`} approval={data} />}
        <Body key={data.id} approval={data} />
        <Binding approval={data} />
        <Requester who={data.requester} session={data.session} />
      </div>
      <Decide key={data.id} approval={data} />
    </article>
  );
}
