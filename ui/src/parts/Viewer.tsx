import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef } from "react";
import { rows as layOut, type Row } from "../lib/rows";
import { oddities } from "../lib/visible";
import { Icon } from "./Icon";
import { Segments, Visible } from "./Visible";

const LINE_PX = 20;
/** The height of the window, when there is more. */
const WINDOW_PX = 380;
/** How much of the end is shown below, always. */
const TAIL_CHARS = 160;

interface Props {
  text: string;
  label: string;
  /** What stands left and right above the text. */
  bar?: ReactNode;
  /** Where the text does not end here: what is missing. */
  missing?: string;
}

/** Text that somebody else wrote, of any length: lines with numbers, drawn as far as they are in sight; and its end. */
export function Viewer({ text, label, bar, missing }: Props) {
  const list = useMemo(() => layOut(text), [text]);
  const odd = useMemo(() => oddities(list.flatMap((row) => row.segments)), [list]);
  return (
    <div className="viewer">
      <div className="bar">
        {bar}
        <span className="grow" />
        {odd.length > 0 && (
          <span className="flags">
            {odd.map(({ label, count }) => (
              <span key={label} className="flag">
                <Icon name="warn" />
                {count.toLocaleString("en")} {label}
              </span>
            ))}
          </span>
        )}
      </div>
      <RowList rows={list} label={label} />
      <Ends text={text} rows={list.length} missing={missing} />
    </div>
  );
}

function Ends({ text, rows, missing }: { text: string; rows: number; missing?: string }) {
  if (missing) {
    return (
      <p className="ends">
        <strong>The end is not here.</strong> {missing}
      </p>
    );
  }
  if (rows * LINE_PX <= WINDOW_PX) return null;
  return (
    <p className="ends">
      It ends with{" "}
      <code>
        <Visible text={text.slice(-TAIL_CHARS)} />
      </code>
    </p>
  );
}

export function RowList({ rows, label }: { rows: Row[]; label: string }) {
  const scroll = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => LINE_PX,
    overscan: 12,
  });
  const height = Math.min(virtual.getTotalSize() + 16, WINDOW_PX);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <section ref={scroll} className="scroll" style={{ height }} tabIndex={0} aria-label={label}>
      <div className="sheet" style={{ height: virtual.getTotalSize() + 16 }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className="coderow"
              style={{ transform: `translateY(${item.start + 8}px)` }}
            >
              <span className="no">{row?.line ?? "↪"}</span>
              <span className="code">
                {row?.blank ? (
                  <span className="blank">{row.blank.toLocaleString("en")} empty lines</span>
                ) : (
                  <Segments segments={row?.segments ?? []} />
                )}
              </span>
            </div>
          );
        })}
      </div>
    </section>
  );
}
