// A client token to make, as the form has it and as the API takes it.

/** What the gateway takes as a name, in bytes. */
export const NAME_BYTES_MAX = 128;

/** For how long a token may hold, in seconds; the gateway's most is a day. */
export const LIVES = [
  { value: "900", label: "15 minutes" },
  { value: "3600", label: "an hour" },
  { value: "28800", label: "8 hours" },
  { value: "86400", label: "a day" },
];

export interface NewTokenForm {
  name: string;
  all: boolean;
  connections: string[];
  classes: string[];
  seconds: string;
}

/** The API takes names or `all`, and not both; and classes only where some are named. */
export function newToken({ name, all, connections, classes, seconds }: NewTokenForm) {
  return {
    name: name.trim(),
    ...(all ? { all } : { connections }),
    ...(classes.length > 0 && { classes }),
    seconds: Number(seconds),
  };
}
