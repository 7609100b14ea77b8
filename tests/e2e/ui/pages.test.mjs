// Every page in the real binary and a real browser: no violation that axe finds, in light and dark and on a phone; no script
// error, no violation of the content security policy, no request to anywhere else (catalogue 201, 204).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { augment, open, seeded } from "./seeded.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = {
  light: { viewport: { width: 1360, height: 860 }, colorScheme: "light" },
  dark: { viewport: { width: 1360, height: 860 }, colorScheme: "dark" },
  phone: { viewport: { width: 375, height: 760 }, colorScheme: "light", hasTouch: true },
};
let place;
let browser;

before(async () => {
  place = await seeded();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await place?.stop();
});

for (const [name, view] of Object.entries(VIEWS)) {
  test(`every page holds in ${name}`, async () => {
    for (const [page, who, path, act] of place.pages) {
      // axe is put in by the browser, past the policy of the page, which is held against everything else.
      const tab = await open(browser, place, who, { ...view, reducedMotion: "reduce" });
      await augment(tab, place);
      await tab.goto(place.admin + path);
      await tab.locator("h1").first().waitFor();
      while ((await tab.locator(".bones").count()) > 0) await tab.waitForTimeout(30);
      await act?.(tab);
      const violations = await violationsOf(tab);
      assert.deepEqual(violations, [], `${page} in ${name}`);
      assert.deepEqual(tab.problems, [], `${page} in ${name}`);
      const wide = await tab.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll("main")].map((box) => box.scrollWidth - box.clientWidth),
      );
      assert.ok(wide.every((by) => by === 0), `${page} in ${name} is wider than the window, or its content than its place`);
      await tab.context().close();
    }
  });
}

test("the dialogs hold", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const tab = await open(browser, place, "olivia", { colorScheme, reducedMotion: "reduce" });
    await tab.goto(`${place.admin}/inbox?id=${place.ids.tools}`);
    await tab.getByRole("button", { name: "Approve…" }).waitFor();
    for (const key of ["?", "a", "d"]) {
      await tab.keyboard.press(key);
      await tab.getByRole("dialog").waitFor();
      assert.deepEqual(await violationsOf(tab), [], `${key} in ${colorScheme}`);
      await tab.keyboard.press("Escape");
      await tab.getByRole("dialog").waitFor({ state: "detached" });
    }
    assert.deepEqual(tab.problems, []);
    await tab.context().close();
  }
});

async function violationsOf(tab) {
  const session = await tab.context().newCDPSession(tab);
  await session.send("Runtime.evaluate", { expression: AXE });
  const { violations } = await tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ""}`).join(" | ")}`);
}
