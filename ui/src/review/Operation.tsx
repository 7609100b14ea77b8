import type { ApprovalView } from "../api/types";
import { size } from "../lib/words";
import { Visible } from "../parts/Visible";

/** Tools that are shown by name; the rest is counted. */
const TOOLS_MAX = 24;

/** The exact operation, as it goes to the upstream. */
export function Operation({ approval }: { approval: ApprovalView }) {
  const { operation, connection } = approval;
  return (
    <section className="section" aria-label="Operation">
      <h3>Operation</h3>
      <div className="operation">
        <div className="line">
          <span className="verb" data-verb={operation.method}>
            {operation.method}
          </span>
          <Visible text={operation.path} />
          {operation.query && (
            <span className="query">
              ?<Visible text={operation.query} />
            </span>
          )}
        </div>
        <dl className="facts">
          <Fact name="Class">
            <code>{operation.class}</code>
          </Fact>
          <Fact name="Connection">
            <Visible text={connection} />
          </Fact>
          {operation.model && (
            <Fact name="Model">
              <Visible text={operation.model} />
            </Fact>
          )}
          {operation.file && (
            <Fact name="File">
              <Visible text={operation.file} />
            </Fact>
          )}
          {operation.body_bytes != null && <Fact name="Body">{size(operation.body_bytes)}</Fact>}
          {operation.stream && <Fact name="Answer">as a stream</Fact>}
          {operation.tools.length > 0 && (
            <div className="broad">
              <dt>Tools</dt>
              <dd className="chips">
                {operation.tools.slice(0, TOOLS_MAX).map((tool, index) => (
                  <span key={index} className="chip">
                    <Visible text={tool} />
                  </span>
                ))}
                {operation.tools.length > TOOLS_MAX && <span>and {operation.tools.length - TOOLS_MAX} more</span>}
              </dd>
            </div>
          )}
        </dl>
      </div>
    </section>
  );
}

export function Fact({ name, children, broad }: { name: string; children: React.ReactNode; broad?: boolean }) {
  return (
    <div className={broad ? "broad" : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
