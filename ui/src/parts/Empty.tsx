import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";
import { Snippet } from "./Snippet";

/** What to see when there is nothing to see: why, and what would fill it. */
export function Empty({
  icon,
  title,
  children,
  snippet,
}: {
  icon: IconName;
  title: string;
  children?: ReactNode;
  snippet?: string;
}) {
  return (
    <div className="empty">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
      {snippet && <Snippet text={snippet} label="what fills this page" />}
    </div>
  );
}
