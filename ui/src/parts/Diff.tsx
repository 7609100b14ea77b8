import { useMemo } from "react";
import { diffLines, hunks } from "../lib/diff";
import { visible } from "../lib/visible";
import { Segments } from "./Visible";

const SIGN = { same: " ", added: "+", removed: "−" };
const WORD = { same: "", added: "added: ", removed: "removed: " };

/** What differs between two texts, with a little around it. */
export function Diff({ before, after, label }: { before: string; after: string; label: string }) {
  const parts = useMemo(() => hunks(diffLines(before, after)), [before, after]);
  if (parts.length === 0) return <p className="ends">No difference: every line is the same.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <section className="diff" tabIndex={0} aria-label={label}>
      {parts.map((part, index) => (
        <div key={index}>
          {part.skipped > 0 && <div className="skipped">{part.skipped} lines are the same</div>}
          {part.lines.map((line, at) => (
            <div key={at} className={`line ${line.change}`}>
              <span aria-hidden="true">{SIGN[line.change]}</span>
              <span className="code">
                <span className="unseen">{WORD[line.change]}</span>
                <Segments segments={visible(line.text)} />
              </span>
            </div>
          ))}
        </div>
      ))}
    </section>
  );
}
