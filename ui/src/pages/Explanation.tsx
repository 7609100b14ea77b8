import { useQuery } from "@tanstack/react-query";
import { explanation } from "../api/queries";
import type { ExplanationView } from "../api/types";
import { Bones } from "../parts/Bones";
import { Moment } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";
import { RuleLists } from "./RuleList";

const VERDICT: Record<string, string> = { allow: "allowed", approve: "held for approval", block: "blocked" };

/** Rule by rule, over the facts of then. */
export function Explanation({ request }: { request: string }) {
  const { data, error } = useQuery(explanation(request));
  if (error) return <Trouble error={error} />;
  if (!data) return <Bones rows={4} />;
  return (
    <div className="card explained">
      <p className="sentence">
        <Said data={data} />
      </p>
      <p className="muted">
        <Moment at={data.at} /> · policy <code>{data.policy.slice(0, 16)}</code>
        {data.same_policy ? ", the one that decided then" : ", which changed since then"}
      </p>
      <RuleLists rules={data.rules} given={data.given} />
    </div>
  );
}

function Said({ data }: { data: ExplanationView }) {
  const rule = data.recorded?.rule ?? data.rule;
  const verdict = data.recorded?.verdict ?? data.verdict;
  if (!verdict) {
    return <>It was refused before policy was asked{data.code && `: ${data.code}`}.</>;
  }
  return (
    <>
      It was {VERDICT[verdict] ?? verdict}{" "}
      {rule ? (
        <>
          by the rule <Visible text={rule} />.
        </>
      ) : (
        "because no rule allows it."
      )}
    </>
  );
}
