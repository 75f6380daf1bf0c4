// What the cost page shows is what finance exports, to the last digit. WANTED has the sums of the export.

import assert from "node:assert/strict";
import { browser, clean, context, open, page } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

const WANTED = JSON.parse(process.env.WANTED);
const whole = (text) => Number(text.replaceAll(",", ""));
/** Input and output, and below them what of the input was cached. */
const TOKENS = /^([\d,]+) → ([\d,]+)\s+([\d,]+) of it cached$/;

const picos = (text) => BigInt(text.split(".")[0]) * 10n ** 12n + BigInt((text.split(".")[1] ?? "").padEnd(12, "0"));
/** A title tells an amount in full, where the cell is rounded. */
const exact = (title) => picos(/^Exactly (\d+(?:\.\d+)?)/.exec(title)[1]);

/** The sums of a part of the table: counts by their columns' titles, money in picos. */
async function sums(part) {
  const sums = { cost: 0n, requests: 0, input: 0, output: 0, cached: 0 };
  const cells = (title) => part.locator(`td[data-title="${title}"]`).allInnerTexts();
  for (const text of await cells("Requests")) sums.requests += whole(text);
  for (const text of await cells("Tokens")) {
    const [input, output, cached] = TOKENS.exec(text.trim()).slice(1).map(whole);
    sums.input += input;
    sums.output += output;
    sums.cached += cached;
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
  const wanted = { cost: picos(WANTED.cost), requests: WANTED.requests, input: WANTED.input_tokens, output: WANTED.output_tokens, cached: WANTED.cached_input_tokens };
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
