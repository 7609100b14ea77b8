import { Button } from "@mantine/core";
import { Icon } from "../parts/Icon";
import { signInAddress } from "./signInAddress";

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
