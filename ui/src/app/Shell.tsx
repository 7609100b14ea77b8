import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useMatch, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { listen } from "../api/live";
import { whoami } from "../api/queries";
import { Trouble } from "../parts/Trouble";
import { KeysDialog } from "./KeysDialog";
import { onKey, useKeys } from "./keys";
import { Nav, PLACES } from "./Nav";
import { KeptOut, SignIn, SignInFailed } from "./SignIn";

/** What stands around every page. */
export function Shell() {
  const me = useQuery(whoami);
  const client = useQueryClient();
  const navigate = useNavigate();
  const [help, setHelp] = useState(false);
  const signedIn = me.data !== undefined;
  const failed = useMatch({ from: "/sign-in", shouldThrow: false })?.search;

  useEffect(() => {
    // Before any dialog hears of it: the key that closes one must not do something else as well.
    window.addEventListener("keydown", onKey, { capture: true });
    return () => window.removeEventListener("keydown", onKey, { capture: true });
  }, []);

  useEffect(() => (signedIn ? listen(client) : undefined), [client, signedIn]);

  useKeys("Everywhere", [
    { keys: "?", label: "Show these keys", run: () => setHelp(true) },
    ...PLACES.map(({ to, label, key }) => ({ keys: `g ${key}`, label: `Go to ${label}`, run: () => navigate({ to }) })),
  ]);

  if (failed?.problem) return <SignInFailed {...failed} problem={failed.problem} signedIn={signedIn} />;
  if (me.error instanceof ApiError && me.error.status === 401) return <SignIn />;
  if (me.error instanceof ApiError && me.error.code === "locked") return <KeptOut message={me.error.message} />;
  return (
    <div className="shell">
      <button type="button" className="skip" onClick={() => document.querySelector<HTMLElement>("main h1")?.focus()}>
        Skip to the content
      </button>
      <Nav me={me.data} onHelp={() => setHelp(true)} />
      <main id="main">
        {me.isError ? <Trouble error={me.error} retry={() => me.refetch()} /> : signedIn ? <Outlet /> : null}
      </main>
      <KeysDialog opened={help} onClose={() => setHelp(false)} />
    </div>
  );
}
