import { chromium } from "playwright-core";

/** Debian's chromium, or what $CHROMIUM names. */
export function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-quic"] });
}
