import { useMemo } from "react";
import type { Piece } from "../api/types";
import { rhythm } from "../lib/rhythm";

const SLOTS = 160;
const WIDTH = SLOTS * 5;
const HEIGHT = 34;

/** When the answer came: each bar is a slice of time, its height how much came in it. */
export function Rhythm({ pieces }: { pieces: Piece[] }) {
  const { slots, lastUs, firstUs } = useMemo(
    () =>
      rhythm(
        pieces.map(({ offset_us, text, base64 }) => ({ offset_us, bytes: (text ?? base64 ?? "").length })),
        SLOTS,
      ),
    [pieces],
  );
  if (pieces.length < 2) return null;
  const most = Math.max(...slots.map(({ bytes }) => bytes), 1);
  const says = `${pieces.length.toLocaleString("en")} pieces in ${ms(lastUs)}, the first after ${ms(firstUs)}`;
  return (
    <figure className="rhythm">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={says}>
        {slots.map(({ bytes, pieces: count }, index) => {
          const height = bytes === 0 ? 1 : Math.max(4, Math.sqrt(bytes / most) * HEIGHT);
          return (
            <rect
              key={index}
              x={index * 5}
              y={HEIGHT - height}
              width="3.4"
              height={height}
              rx="1"
              className={bytes > 0 ? "on" : ""}
            >
              {count > 0 && <title>{`${count} pieces`}</title>}
            </rect>
          );
        })}
      </svg>
      <figcaption>
        <span>{says}</span>
      </figcaption>
    </figure>
  );
}

function ms(us: number): string {
  return us < 1_000_000 ? `${Math.round(us / 1000)} ms` : `${(us / 1_000_000).toFixed(2)} s`;
}
