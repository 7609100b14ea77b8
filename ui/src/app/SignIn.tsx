import { Button } from "@mantine/core";
import { useEffect } from "react";
import { home } from "../api/client";
import { noSignIn } from "../lib/noSignIn";
import { Icon } from "../parts/Icon";
import { Visible } from "../parts/Visible";
import { loginAddress, signInAddress } from "./signInAddress";

/** Shown when the API does not know who asks. Signing in leads back here. */
export function SignIn() {
  return (
    <main className="signin">
      <div className="card">
        <Icon name="mark" />
        <h1>Keyward</h1>
        <p>Calls to models and features that wait for a person, and the record of those that went through.</p>
        <Button component="a" href={signInAddress()} fullWidth size="md">
          Sign in
        </Button>
        <p className="hint">Your organisation's identity provider asks who you are. Keyward keeps no password.</p>
      </div>
    </main>
  );
}

interface Failed {
  /** The code of what came between. */
  problem: string;
  next?: string;
  fresh?: boolean;
  /** The browser is still signed in, as it was before. */
  signedIn: boolean;
}

/** Shown when signing in did not work: what happened, and the way to try again. */
export function SignInFailed({ problem, next, fresh, signedIn }: Failed) {
  const { title, text, again } = noSignIn(problem);
  useEffect(() => {
    document.title = `${title} · Keyward`;
  }, [title]);
  return (
    <main className="signin">
      <div className="card" data-failed="true">
        <Icon name="warn" />
        <h1>{title}</h1>
        <p>{text}</p>
        {again && (
          <Button component="a" href={loginAddress(next ?? "/", fresh)} fullWidth size="md">
            Try again
          </Button>
        )}
        {signedIn && <a href={home(next ?? "/")}>Go on without; you are still signed in</a>}
        <p className="hint">
          <code>{problem}</code> is what to tell whoever runs the gateway.
        </p>
      </div>
    </main>
  );
}

/** Shown to whom a lock keeps out, with its reason. */
export function KeptOut({ message }: { message: string }) {
  return (
    <main className="signin">
      <div className="card" data-failed="true">
        <Icon name="lock" />
        <h1>You are kept out</h1>
        <p>
          <Visible text={message} />
        </p>
        <Button component="a" href={signInAddress(true)} fullWidth size="md" variant="default">
          Sign in again
        </Button>
        <p className="hint">
          <code>locked</code>, until an administrator lifts it.
        </p>
      </div>
    </main>
  );
}
