import { type ReactNode, useEffect, useRef } from "react";

let first = true;

/** A page with its heading, which gets the focus when one goes to it. */
export function Page({
  title,
  tools,
  children,
  wide,
}: {
  title: ReactNode;
  tools?: ReactNode;
  children: ReactNode;
  wide?: boolean;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // Not on loading: there the browser's own place for the focus is right.
    if (!first) heading.current?.focus({ preventScroll: true });
    first = false;
  }, []);
  return (
    <div className={wide ? "page wide" : "page"}>
      <div className="pagehead">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {tools}
      </div>
      {children}
    </div>
  );
}
