import { memo } from "react";
import { type Segment, visible } from "../lib/visible";

/** Text that somebody else wrote: as text, with everything that hides or lies made visible. Never a link. */
export const Visible = memo(function Visible({ text }: { text: string }) {
  return (
    <bdi className="theirs">
      <Segments segments={visible(text)} />
    </bdi>
  );
});

export function Segments({ segments }: { segments: Segment[] }) {
  return segments.map((segment, index) =>
    segment.kind === "text" ? (
      segment.raw
    ) : (
      <span key={index} className={`marker ${segment.kind}`} title={segment.title}>
        {segment.shown}
      </span>
    ),
  );
}
