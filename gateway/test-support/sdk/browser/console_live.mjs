// Live views: rows and figures come by themselves; a broken stream is seen, asked around, and opened again.

import assert from "node:assert/strict";
import { accessible, browser, clean, context, open, page, shot, settle } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

const { DATA, KEY } = process.env;
const STREAM = /\/api\/v1\/stream/;

/** One request of an application. */
async function ask(text = "Hello") {
  const answer = await fetch(`${DATA}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-5-mini", messages: [{ role: "user", content: text }] }),
  });
  await answer.text();
  return answer.headers.get("x-request-id");
}

const opened = async (path, options) => {
  const signed = await context();
  const view = await page(signed, options);
  await open(view.page, path);
  return { signed, tab: view.page, faults: view.faults };
};

const mark = (tab, word) => tab.locator(".view-tools .badge", { hasText: word });

await runAll({
  async rows_come_by_themselves() {
    const { signed, tab, faults } = await opened("/requests", { expected: ["/api/v1/requests"] });
    await mark(tab, "Live").waitFor();
    // The list itself cannot be read any more: only the stream can bring a row.
    await tab.route(/\/api\/v1\/requests/, (route) => route.abort());
    const id = await ask();
    await tab.locator(`button[aria-label$="${id}"]`).waitFor();
    assert.ok(await mark(tab, "Live").isVisible());
    await shot(tab, "requests-live");
    clean(faults);
    await signed.close();
  },

  async figures_move() {
    const { signed, tab, faults } = await opened("/overview", { expected: ["/api/v1/overview"] });
    await mark(tab, "Live").waitFor();
    const tile = tab.locator(".tile", { hasText: "Failed after failover" }).locator(".tile-note");
    const all = async () => Number(/of ([\d,]+),/.exec(await tile.textContent())[1].replaceAll(",", ""));
    const before = await all();
    await tab.route(/\/api\/v1\/overview/, (route) => route.abort());
    await Promise.all([ask(), ask(), ask()]);
    await tab.waitForFunction((least) => Number(/of ([\d,]+),/.exec(document.body.innerText)?.[1].replaceAll(",", "")) >= least, before + 3);
    clean(faults);
    await signed.close();
  },

  async stale_and_back() {
    const { signed, tab, faults } = await opened("/requests", { expected: ["/api/v1/stream"] });
    await mark(tab, "Live").waitFor();
    await signed.route(STREAM, (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ detail: "the gateway is starting" }) }));
    // Away and back: the stream is opened anew, and fails.
    await open(tab, "/requests");
    await tab.getByText(/Not live: the gateway is starting/).waitFor();
    await mark(tab, "Not live").waitFor();
    await accessible(tab);
    await shot(tab, "requests-not-live");
    const id = await ask();
    await tab.locator(`button[aria-label$="${id}"]`).waitFor({ timeout: 15_000 });
    await signed.unroute(STREAM);
    await tab.getByRole("button", { name: "Try again" }).click();
    await mark(tab, "Live").waitFor();
    assert.equal(await tab.getByText(/Not live/).count(), 0);
    clean(faults);
    await signed.close();
  },

  async one_stream_for_the_page() {
    const signed = await context();
    const { page: tab, faults } = await page(signed);
    let begun = 0;
    tab.on("request", (request) => (begun += STREAM.test(request.url()) ? 1 : 0));
    await open(tab, "/overview");
    await mark(tab, "Live").waitFor();
    for (const view of ["Requests", "Overview", "Requests"]) {
      await tab.locator(".rail").getByRole("link", { name: view, exact: true }).click();
      await settle(tab);
      await mark(tab, "Live").waitFor();
    }
    assert.equal(begun, 1, "views that follow each other share it");
    clean(faults);
    await signed.close();
  },

  async hidden_page_is_silent() {
    const { signed, tab, faults } = await opened("/overview");
    await mark(tab, "Live").waitFor();
    const ended = tab.waitForEvent("requestfailed", (request) => STREAM.test(request.url()));
    const hide = (hidden) => tab.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await hide(true);
    await ended;
    const again = tab.waitForRequest(STREAM);
    await hide(false);
    await again;
    await mark(tab, "Live").waitFor();
    clean(faults);
    await signed.close();
  },
});
await browser.close();
