import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { ApiError } from "../api/client";
import { signInAddress } from "../app/signInAddress";
import { Icon } from "./Icon";
import { Page } from "./Page";

/** Answers that asking again does not change. */
const FINAL = new Set([400, 403, 404]);

/** What went wrong, what to do, and what to tell whoever reads the gateway's log. */
export function Trouble({ error, retry }: { error: unknown; retry?: () => void }) {
  const known = error instanceof ApiError ? error : undefined;
  return (
    <div className="trouble" role="alert">
      <Icon name="warn" />
      <div>
        <strong>{known ? known.message : "Something broke in this page."}</strong>
        <p>
          {known && <code>{known.code}</code>}
          {known?.requestId && (
            <>
              {" "}
              · request <code className="select">{known.requestId}</code>, as in the gateway's log
            </>
          )}
        </p>
        {known?.code === "sign_in_again" && (
          <Button component="a" href={signInAddress(true)} size="xs">
            Sign in again
          </Button>
        )}
        {retry && !FINAL.has(known?.status ?? 0) && (
          <Button variant="default" size="xs" onClick={retry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

export function NotHere() {
  return (
    <Page title="Nothing here">
      <p className="lead">There is no page at this address.</p>
      <Link to="/inbox">To the inbox</Link>
    </Page>
  );
}
