// Why somebody was not signed in. The address of the page names only a code; what is said of it stands here, so that an address
// that somebody made up says nothing of its own.

interface Said {
  title: string;
  text: string;
  /** Whether trying again may help. */
  again: boolean;
}

const SAID: Record<string, Said> = {
  sign_in_denied: {
    title: "You were not signed in",
    text: "Signing in was cancelled at the identity provider, or the provider says that you may not use Keyward. Whoever looks after it there can let you in.",
    again: true,
  },
  sign_in_refused: {
    title: "You were not signed in",
    text: "The identity provider did not confirm who you are, or what it said cannot be trusted. If it happens again, tell whoever runs the gateway: the reason stands in its log.",
    again: true,
  },
  sign_in_unknown: {
    title: "This sign-in is over",
    text: "It took longer than ten minutes, was used already, or was begun in another browser.",
    again: true,
  },
  sign_in_unavailable: {
    title: "The identity provider does not answer",
    text: "Nobody can sign in until it does. Who is signed in already is not concerned.",
    again: true,
  },
  sign_in_absent: {
    title: "Nobody can sign in here yet",
    text: "Whoever runs the gateway sets it up under sign_in in keyward.yaml. The command line works without.",
    again: false,
  },
};

const OTHER: Said = {
  title: "Signing in did not work",
  text: "Something came between. If trying again does not help, tell whoever runs the gateway.",
  again: true,
};

/** What to say of a code; of one that is not ours, the same as of any. */
export function noSignIn(problem: string): Said {
  return (Object.hasOwn(SAID, problem) && SAID[problem]) || OTHER;
}

/** The code of an address, where it looks like one. */
export function problemCode(value: unknown): string | undefined {
  return typeof value === "string" && /^[a-z_]{1,40}$/.test(value) ? value : undefined;
}

/** A path of this interface, as the gateway takes it too; nothing that a browser could take for another host. */
export function localPath(value: unknown): string | undefined {
  if (typeof value !== "string" || value.length > 1024) return undefined;
  return /^\/(?!\/)[!-[\]-~]*$/.test(value) ? value : undefined;
}
