// Every state of every view: the answers of the API are held back, emptied, or made to fail.

import assert from "node:assert/strict";
import { accessible, browser, clean, context, fits, open, page, settle, shot, VIEWS } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

const API = /\/api\/v1\/(?!me$|session$)/;

async function opened(handler, expected = ["/api/v1/"]) {
  const signed = await context();
  const one = await page(signed, { expected });
  if (handler) await one.page.route(API, handler);
  return { ...one, signed };
}

const problem = (status, detail) => ({ status, contentType: "application/problem+json", body: JSON.stringify({ title: "x", status, detail, code: "test" }) });
const list = (more = {}) => ({ status: 200, contentType: "application/json", body: JSON.stringify({ items: [], next: null, ...more }) });
const nothing = { requests: 0, refusals: 0, input_tokens: 0, cached_input_tokens: 0, cache_write_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cost: "0", currency: "USD", unpriced_requests: 0 };

const quiet = { at: "2026-11-30T00:00:00Z", since: "2026-11-29T00:00:00Z", partial: false, lately: { seconds: 900, sums: { ...nothing, failed: 0 }, ttft_p95_ms: null, failures: [] }, fleet: null };

await runAll({
  async loading() {
    const { page: tab, signed, faults } = await opened(() => {});
    for (const view of VIEWS) {
      await tab.goto(new URL("/" + view, process.env.ADMIN).href);
      await tab.locator(".skeleton").first().waitFor();
      await tab.getByText("Loading").first().waitFor({ state: "attached" });
    }
    clean(faults);
    await signed.close();
  },

  async empty() {
    const { page: tab, signed, faults } = await opened((route) => {
      const path = new URL(route.request().url()).pathname;
      if (path.endsWith("/config") || path.endsWith("/stream")) return route.continue();
      if (path.endsWith("/overview")) return route.fulfill({ json: quiet });
      return route.fulfill(list(path.endsWith("/usage") ? { total: nothing } : {}));
    });
    for (const view of VIEWS) {
      await open(tab, "/" + view);
      await tab.locator("main .blank, main .faint").first().waitFor();
      assert.equal(await tab.locator("[role=alert]").count(), 0, view);
      await fits(tab);
      await accessible(tab);
    }
    await open(tab, "/overview");
    await tab.getByText("No requests yet").waitFor();
    await shot(tab, "empty-light");
    clean(faults);
    await signed.close();
  },

  async error() {
    const { page: tab, signed, faults } = await opened((route) => route.fulfill(problem(503, "the ledger is being restored")));
    for (const view of VIEWS) {
      await open(tab, "/" + view);
      await tab.getByText("the ledger is being restored").first().waitFor();
      await tab.getByRole("button", { name: "Try again" }).first().waitFor();
      await accessible(tab);
    }
    await shot(tab, "error-light");
    await tab.unroute(API);
    await tab.getByRole("button", { name: "Try again" }).first().click();
    await tab.getByText("the ledger is being restored").waitFor({ state: "detached" });
    clean(faults);
    await signed.close();
  },

  async stale() {
    const { page: tab, signed, faults } = await opened(null);
    await open(tab, "/regions");
    const rows = await tab.locator("tbody tr").count();
    await tab.route(API, (route) => route.fulfill(problem(503, "the ledger is being restored")));
    await tab.getByText(/The latest try failed/).waitFor({ timeout: 20_000 });
    assert.equal(await tab.locator("tbody tr").count(), rows, "what was known stays");
    await accessible(tab);
    await shot(tab, "stale-light");
    await tab.unroute(API);
    await tab.getByText(/The latest try failed/).waitFor({ state: "detached", timeout: 20_000 });
    clean(faults);
    await signed.close();
  },

  async forbidden() {
    const { page: tab, signed, faults } = await opened((route) => route.fulfill(problem(403, "role viewer may not read usage")));
    for (const view of VIEWS) {
      await open(tab, "/" + view);
      await tab.getByText("Not with this token").first().waitFor();
      await tab.getByText(/role viewer may not read usage/).first().waitFor();
    }
    clean(faults);
    await signed.close();
  },

  async signed_out() {
    const { page: tab, signed, faults } = await opened(null);
    await open(tab, "/regions");
    await tab.route(API, (route) => route.fulfill(problem(401, "the session has ended")));
    await tab.getByText(/Your session has ended/).waitFor({ timeout: 20_000 });
    assert.equal(new URL(tab.url()).pathname, "/regions", "to go on where one was");
    clean(faults);
    await signed.close();
  },

  async partial() {
    const { page: tab, signed, faults } = await opened(async (route) => {
      const url = new URL(route.request().url());
      if (url.pathname.endsWith("/stream")) return route.fulfill(problem(409, "too many live views"));
      if (!url.pathname.endsWith("/overview")) return route.continue();
      const answer = await (await route.fetch()).json();
      return route.fulfill({ json: { ...answer, partial: true } });
    });
    await open(tab, "/overview");
    await tab.getByText(/Part of the picture/).waitFor();
    await tab.unroute(API);
    await tab.route(/\/api\/v1\/usage/, async (route) => {
      const answer = await (await route.fetch()).json();
      answer.total.other_costs = [{ currency: "EUR", cost: "3.5" }];
      return route.fulfill({ json: answer });
    });
    await open(tab, "/costs");
    await tab.getByText(/3.5 EUR/).waitFor();
    await settle(tab);
    clean(faults);
    await signed.close();
  },
});
await browser.close();
