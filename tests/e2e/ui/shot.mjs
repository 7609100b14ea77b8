// Pictures of every page, for people to look at: node shot.mjs DIRECTORY; ONLY=inbox-dark,locks picks some. With --docs the few
// of docs/images, small enough to be kept.
import { mkdirSync } from "node:fs";
import { launch } from "./browser.mjs";
import { augment, open, seeded } from "./seeded.mjs";

const docs = process.argv.includes("--docs");
const directory = docs ? "../../../docs/images" : (process.argv[2] ?? "shots");
mkdirSync(directory, { recursive: true });
const place = await seeded();
const browser = await launch();
const only = process.env.ONLY?.split(",");
const DOCS = { "inbox-light": "review", "session-dark": "session", "inbox-hostile-dark": "hostile" };
const small = { width: 1120, height: 700 };
const sizes = [
  ["light", { width: 1360, height: 860 }],
  ["dark", { width: 1360, height: 860 }],
  ["phone", { width: 375, height: 760 }],
];
try {
  for (const [name, size] of sizes) {
    for (const [page, who, path, act] of place.pages) {
      if (only && !only.some((each) => `${page}-${name}`.includes(each))) continue;
      const shot = `${page}-${name}`;
      if (docs && !DOCS[shot]) continue;
      const tab = await open(browser, place, who, { viewport: docs ? small : size, colorScheme: name === "dark" ? "dark" : "light" });
      // What is kept shows nothing that this gateway does not say.
      if (!docs) await augment(tab, place);
      await tab.goto(place.admin + path);
      await tab.waitForLoadState("load");
      await act?.(tab);
      await tab.waitForTimeout(700);
      if (page === "inbox-hostile") await tab.locator(".viewer").last().evaluate((viewer) => viewer.scrollIntoView());
      const kind = docs ? { type: "jpeg", quality: 62, path: `${directory}/${DOCS[shot]}.jpg` } : { path: `${directory}/${shot}.png` };
      await tab.screenshot(kind);
      const problems = tab.problems.splice(0);
      if (problems.length > 0) console.log(page, name, problems);
      await tab.context().close();
    }
  }
} finally {
  await browser.close();
  await place.stop();
}
