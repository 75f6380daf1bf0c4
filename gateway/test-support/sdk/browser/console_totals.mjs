// What the cost page shows is what finance exports, to the last digit. WANTED has the sums of the export.

import assert from "node:assert/strict";
import { browser, clean, context, open, page } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

const WANTED = JSON.parse(process.env.WANTED);
const COUNTS = ["Requests", "Input tokens", "of it cached", "Output tokens"];

const picos = (text) => BigInt(text.split(".")[0]) * 10n ** 12n + BigInt((text.split(".")[1] ?? "").padEnd(12, "0"));
/** A title tells an amount in full, where the cell is rounded. */
const exact = (title) => picos(/^Exactly (\d+(?:\.\d+)?)/.exec(title)[1]);

/** The sums of a part of the table: counts by their columns' titles, money in picos. */
async function sums(part) {
  const sums = { cost: 0n };
  for (const title of COUNTS) {
    const cells = await part.locator(`td[data-title="${title}"]`).allTextContents();
    sums[title] = cells.reduce((sum, cell) => sum + Number(cell.replaceAll(",", "")), 0);
  }
  const costs = await part.locator('td[data-title="Cost"] .num').evaluateAll((cells) => cells.map((cell) => cell.title));
  for (const title of costs) sums.cost += exact(title);
  return sums;
}

const shows = (query) => async () => {
  const signed = await context();
  const { page: tab, faults } = await page(signed);
  await open(tab, `/costs?range=24h&${query}`);
  const table = tab.getByRole("region", { name: "Breakdown" });
  const wanted = { cost: picos(WANTED.cost), Requests: WANTED.requests, "Input tokens": WANTED.input_tokens, "of it cached": WANTED.cached_input_tokens, "Output tokens": WANTED.output_tokens };
  for (const part of ["tbody", "tfoot"]) assert.deepEqual(await sums(table.locator(part)), wanted, part);
  const tiles = tab.locator("dl.tiles");
  assert.equal(exact(await tiles.locator(".num").first().getAttribute("title")), wanted.cost, "the tile");
  assert.match(await tiles.textContent(), new RegExp(`${WANTED.refusals} refused`), "refusals");
  clean(faults);
  await signed.close();
  return `${WANTED.requests} requests, ${WANTED.cost}`;
};

await runAll({
  by_team: shows("rows=team"),
  by_project_and_model: shows("rows=project&then=model"),
  by_region_and_upstream: shows("rows=region&then=upstream"),
  by_key: shows("rows=key"),
});
await browser.close();
