// Text of strangers is shown as text, and pages of strangers get nothing.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { ADMIN, api, browser, clean, context, HOSTILE, open, page, shot, VIEWS } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

/** A page of another origin; it tells what it could do. */
async function foreign(html, work) {
  const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(html));
  await new Promise((done) => server.listen(0, "localhost", done));
  try {
    return await work(`http://localhost:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** The same answer with markup and code behind every text that is no time, amount or link of the API. */
function poisoned(value, at = 0) {
  if (Array.isArray(value)) return value.map((item, i) => poisoned(item, at + i));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, item], i) => [name, KEPT.has(name) ? item : poisoned(item, at + i)]));
  if (typeof value !== "string" || /^-?[\d.]+$|^\d{4}-\d{2}/.test(value)) return value;
  return value + " " + HOSTILE[at % HOSTILE.length];
}

/** What the page steers by: rights, ids of rows, scopes and periods of budgets. */
const KEPT = new Set(["permissions", "csrf", "id", "scope", "currency", "period", "role", "scheme", "time_zone", "unit_price", "quantity", "next"]);

await runAll({
  async every_text_of_the_api_is_text() {
    const signed = await context();
    const { page: tab, faults } = await page(signed, { expected: ["/api/v1/"] });
    await tab.route(/\/api\/v1\/(?!stream)/, async (route) => {
      const answer = await route.fetch();
      if (!/json/.test(answer.headers()["content-type"] || "")) return route.fulfill({ response: answer });
      return route.fulfill({ response: answer, json: poisoned(await answer.json()) });
    });
    const [row] = (await api("/requests?from=-1h")).items;
    const paths = [...VIEWS, "requests?id=" + row.id, "regions?kind=targets", "regions?kind=models", "projects?project=retail/search-assistant", "config?version=1"];
    let seen = 0;
    for (const path of paths) {
      await open(tab, "/" + path);
      for (const form of await tab.getByRole("button", { name: /^As a table/ }).all()) await form.click();
      assert.equal(await tab.evaluate(() => window.ran), undefined, path);
      assert.equal(await tab.locator("main img, main script, dialog img, dialog script, [onload], [onerror], [onclick]").count(), 0, path);
      const links = await tab.locator("a").evaluateAll((links) => links.map((link) => link.href));
      assert.ok(links.every((link) => link.startsWith(ADMIN + "/")), `${path}: ${links.filter((link) => !link.startsWith(ADMIN + "/"))}`);
      seen += (await tab.locator("body").innerText()).includes(HOSTILE[0]) ? 1 : 0;
    }
    assert.ok(seen > 8, `only ${seen} views show a name: the check would see nothing`);
    await tab.unroute(/\/api\/v1\/(?!stream)/);

    // What a model says, and what it refuses with.
    for (const ok of [true, false]) {
      await tab.route(/keys\/test/, (route) => route.fulfill({ json: poisoned({ ok, status: 200, answer: "said", upstream: "u", region: "r", request_id: "x", attempts: 1, duration_ms: 5, cost: "1", currency: "USD", explanation: { story: ["went"] }, error: ok ? null : { code: "c", source: "gateway", message: "m", meaning: "n", remedy: "o" } }) }));
      await open(tab, "/keys");
      await tab.getByLabel("Key", { exact: true }).fill(HOSTILE[0]);
      await tab.getByLabel("What to say").fill(HOSTILE[1]);
      await tab.getByRole("button", { name: "Test", exact: true }).click();
      await tab.locator(".trial-result").waitFor();
      assert.equal(await tab.evaluate(() => window.ran), undefined);
      assert.equal(await tab.locator(".trial img, .trial script").count(), 0);
      await tab.unroute(/keys\/test/);
    }
    clean(faults);
    await signed.close();
  },

  async nothing_runs() {
    const signed = await context();
    const { page: tab, faults } = await page(signed, { expected: ["/api/v1/keys"] });
    const rows = (await api("/requests?kind=refusal&from=-1h")).items;
    assert.ok(HOSTILE.every((text) => rows.some((row) => row.model === text)), "the corpus arrived whole");
    const answered = (await api("/requests?from=-1h")).items.map((row) => row.id);
    const paths = [...VIEWS.map((view) => "/" + view), "/requests?kind=refusal", "/requests?kind=refusal&id=" + rows[0].id, ...answered.slice(0, 6).map((id) => "/requests?id=" + id),
      ...HOSTILE.flatMap((text) => [`/costs?rows=model&range=24h&team=${encodeURIComponent(text)}`, `/requests?model=${encodeURIComponent(text)}`, `/regions?region=${encodeURIComponent(text)}`])];
    let text = "";
    for (const path of paths) {
      await open(tab, path);
      text += await tab.locator("body").innerText();
      assert.equal(await tab.evaluate(() => window.ran), undefined, path);
      assert.equal(await tab.locator("main img, main script, dialog img, dialog script").count(), 0, path);
    }
    for (const hostile of HOSTILE.slice(0, 3)) assert.ok(text.includes(hostile), `${hostile} is shown as it is`);
    await open(tab, "/requests?kind=refusal");
    await shot(tab, "hostile-light");
    clean(faults);
    await signed.close();
  },

  async no_frame() {
    const signed = await context();
    await foreign(`<iframe src="${ADMIN}/regions"></iframe>`, async (url) => {
      const tab = await signed.newPage();
      await tab.goto(url);
      await tab.waitForLoadState("networkidle");
      const inside = tab.frames().find((frame) => frame !== tab.mainFrame());
      const text = await inside.locator("body").innerText().catch(() => "");
      assert.ok(!text.includes("Regions"), text);
    });
    await signed.close();
  },

  async no_forged_change() {
    const signed = await context();
    const html = `<form id="f" method="post" action="${ADMIN}/api/v1/regions/eastus/drain" enctype="text/plain"><input name='{"reason":"forged","x":"' value='"}'></form><script>
      fetch("${ADMIN}/api/v1/regions/eastus/drain", { method: "POST", mode: "no-cors", credentials: "include", body: '{"reason":"forged"}' }).catch(() => {}).finally(() => document.getElementById("f").submit());
    </script>`;
    await foreign(html, async (url) => {
      const tab = await signed.newPage();
      await tab.goto(url);
      await tab.waitForURL(ADMIN + "/**").catch(() => {});
      await tab.waitForLoadState("networkidle");
    });
    const region = (await api("/regions")).items.find((region) => region.name === "eastus");
    assert.equal(region.state, "enabled", JSON.stringify(region));
    await signed.close();
  },

  async no_script_from_a_link() {
    const signed = await context();
    const { page: tab, faults } = await page(signed);
    await open(tab, "/overview");
    const links = await tab.locator("a").evaluateAll((links) => links.map((link) => link.href));
    assert.ok(links.length > 5 && links.every((link) => link.startsWith(ADMIN + "/")), links.join(" "));
    clean(faults);
    await signed.close();
  },
});
await browser.close();
