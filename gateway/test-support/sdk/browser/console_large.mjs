// Every view of a large organisation, with the time that it took to show all that it loads at first.

import assert from "node:assert/strict";
import { browser, clean, context, fits, open, page, shot, VIEWS } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

const signed = await context();
// The parts of the page are kept from here on, as they are for anybody who comes back.
const first = await page(signed);
await open(first.page, "/audit");
await first.page.close();

async function look(view) {
  const { page: tab, faults } = await page(signed, { expected: view === "keys" ? ["/api/v1/keys"] : [] });
  const calls = [];
  tab.on("requestfinished", (request) => calls.push([Math.round(request.timing().responseEnd), request.url().replace(/^.*\/api\/v1/, "")]));
  const begun = performance.now();
  await open(tab, "/" + view);
  const took = Math.round(performance.now() - begun);
  await fits(tab);
  const nodes = await tab.evaluate(() => document.querySelectorAll("*").length);
  assert.ok(nodes < 12_000, `${nodes} nodes`);
  await shot(tab, `large-${view}`);
  clean(faults);
  await tab.close();
  const [slowest] = calls.filter(([, url]) => url.startsWith("/")).sort(([a], [b]) => b - a);
  return `${took} ms, ${nodes} nodes; the slowest call: ${slowest ? `${slowest[0]} ms for ${slowest[1]}` : "none"}`;
}

await runAll(Object.fromEntries(VIEWS.map((view) => [`view.${view}`, () => look(view)])));
await browser.close();
