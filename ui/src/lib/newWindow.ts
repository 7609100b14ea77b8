// A window to ask for, as the form has it and as the API takes it.

/** What the gateway takes as a reason, in bytes. */
export const WORDS_BYTES_MAX = 1024;

/** For how long a window may be open, in seconds; the rules may let less be approved. */
export const SPANS = [
  { value: "900", label: "15 minutes" },
  { value: "3600", label: "an hour" },
  { value: "14400", label: "4 hours" },
  { value: "28800", label: "8 hours" },
];

export interface NewWindowForm {
  connection: string | null;
  classes: string[];
  seconds: string;
  uses: string | number;
  reason: string;
}

/** The API takes a number of calls only where there is one. */
export function newWindow({ connection, classes, seconds, uses, reason }: NewWindowForm) {
  return {
    connection: connection ?? "",
    classes,
    seconds: Number(seconds),
    ...(uses !== "" && { uses: Number(uses) }),
    reason: reason.trim(),
  };
}
