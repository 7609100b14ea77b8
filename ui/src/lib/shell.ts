// Commands to copy. What callers wrote goes in quoted, or not at all.

/** One word of a POSIX shell; undefined where the text holds what nobody should paste into a terminal. */
export function shellWord(text: string): string | undefined {
  if (/[^\x20-\x7e]/.test(text)) return undefined;
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
