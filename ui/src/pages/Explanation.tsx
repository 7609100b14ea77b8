import { useQuery } from "@tanstack/react-query";
import { explanation } from "../api/queries";
import type { ExplanationView } from "../api/types";
import { Bones } from "../parts/Bones";
import { Moment } from "../parts/Time";
import { Trouble } from "../parts/Trouble";
import { Visible } from "../parts/Visible";

const VERDICT: Record<string, string> = { allow: "allowed", approve: "held for approval", block: "blocked" };

/** Rule by rule, over the facts of then. */
export function Explanation({ request }: { request: string }) {
  const { data, error } = useQuery(explanation(request));
  if (error) return <Trouble error={error} />;
  if (!data) return <Bones rows={4} />;
  const matched = data.rules.filter((rule) => rule.matched);
  const others = data.rules.filter((rule) => !rule.matched);
  return (
    <div className="card explained">
      <p className="sentence">
        <Said data={data} />
      </p>
      <p className="muted">
        <Moment at={data.at} /> · policy <code>{data.policy.slice(0, 16)}</code>
        {data.same_policy ? ", the one that decided then" : ", which changed since then"}
      </p>
      <RuleList title={`${matched.length} rules apply`} rules={matched} open />
      <RuleList title={`${others.length} do not`} rules={others} />
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

function RuleList({ title, rules, open }: { title: string; rules: ExplanationView["rules"]; open?: boolean }) {
  if (rules.length === 0) return null;
  return (
    <details open={open}>
      <summary>{title}</summary>
      <ul className="traces">
        {rules.map((rule) => (
          <li key={rule.rule}>
            <p>
              <code>
                <Visible text={rule.rule} />
              </code>{" "}
              <span className="chip">{rule.effect}</span>
              {rule.mode === "observe" && <span className="chip">only observes</span>}
              {rule.failed && <span className="chip">not known, taken as the safer side</span>}
            </p>
            {rule.when && (
              <pre>
                <Visible text={rule.when} />
              </pre>
            )}
            {rule.values.length > 0 && (
              <dl className="headers">
                {rule.values.map(({ field, value }) => (
                  <div key={field} className="contents">
                    <dt>{field}</dt>
                    <dd>
                      <Visible text={value === undefined ? "unknown" : JSON.stringify(value)} />
                    </dd>
                  </div>
                ))}
              </dl>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}
