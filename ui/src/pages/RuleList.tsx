import type { ExplanationView } from "../api/types";
import { Snippet } from "../parts/Snippet";
import { Visible } from "../parts/Visible";

type Rules = ExplanationView["rules"];

/** Every rule and what its condition read: those that apply first, the others folded. */
export function RuleLists({ rules, given }: { rules: Rules; given: unknown }) {
  const matched = rules.filter((rule) => rule.matched);
  const others = rules.filter((rule) => !rule.matched);
  return (
    <>
      <RuleList title={count(matched.length, "applies", "apply")} rules={matched} open />
      <RuleList title={count(others.length, "does not", "do not")} rules={others} />
      {given !== undefined && given !== null && (
        <details>
          <summary>The facts, as the “given” of a policy test</summary>
          <Snippet text={JSON.stringify(given, null, 2)} label="the facts" />
        </details>
      )}
    </>
  );
}

function count(rules: number, one: string, many: string): string {
  return rules === 1 ? `1 rule ${one}` : `${rules} rules ${many}`;
}

function RuleList({ title, rules, open }: { title: string; rules: Rules; open?: boolean }) {
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
                    <dt>
                      <Visible text={field} />
                    </dt>
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
