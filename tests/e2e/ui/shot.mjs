// Pictures of every page, for people to look at: node shot.mjs DIRECTORY [WIDTH…]
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { augment, open, seeded } from "./seeded.mjs";

const [directory = "shots"] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const place = await seeded();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const only = process.env.ONLY?.split(",");
const sizes = [
  ["light", { width: 1360, height: 860 }],
  ["dark", { width: 1360, height: 860 }],
  ["phone", { width: 375, height: 760 }],
];
try {
  for (const [name, size] of sizes) {
    for (const [page, who, path] of place.pages) {
      if (only && !only.some((each) => `${page}-${name}`.includes(each))) continue;
      const tab = await open(browser, place, who, { viewport: size, colorScheme: name === "dark" ? "dark" : "light" });
      await augment(tab, place);
      await tab.goto(place.admin + path);
      await tab.waitForLoadState("load");
      await tab.waitForTimeout(700);
      await tab.screenshot({ path: `${directory}/${page}-${name}.png` });
      const problems = tab.problems.splice(0);
      if (problems.length > 0) console.log(page, name, problems);
      await tab.context().close();
    }
  }
} finally {
  await browser.close();
  await place.stop();
}
