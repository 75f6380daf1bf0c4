// What people do: sign in, find out, drain and take it back, export, leave.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { ADMIN, accessible, api, browser, clean, context, fits, open, page, REQUEST, settle, shot, TOKEN } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

/** A page of somebody who has signed in, with its faults looked at afterwards. */
const signedIn = (work, options) => async () => {
  const signed = await context(options);
  const opened = await page(signed);
  const told = await work(opened.page, signed);
  clean(opened.faults);
  await signed.close();
  return told;
};

/** Presses Tab until the element that has the focus fits. */
async function tabTo(page, fits, most = 120) {
  for (let presses = 0; presses < most; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(fits)) return presses + 1;
  }
  throw new Error("not reached by Tab");
}

const regionState = async (name) => (await api("/regions")).items.find((region) => region.name === name).effective_state;

async function waitForState(name, wanted) {
  for (let turn = 0; turn < 100; turn += 1) {
    if ((await regionState(name)) === wanted) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.equal(await regionState(name), wanted);
}

await runAll({
  async sign_in() {
    const nobody = await context({ token: null });
    // Nobody has signed in, and one token is wrong: these answers are what is looked for.
    const { page: tab, faults } = await page(nobody, { expected: ["/api/v1/me", "/api/v1/session"] });
    await open(tab, "/costs?range=7d");
    await accessible(tab);
    await fits(tab);
    await shot(tab, "sign-in-light");
    await tab.getByLabel("Admin token").fill("not-a-token-of-this-gateway");
    await tab.keyboard.press("Enter");
    await tab.getByText("unknown token").waitFor();
    await tab.getByLabel("Admin token").fill(TOKEN);
    await tab.keyboard.press("Enter");
    await tab.getByRole("heading", { name: "Costs", level: 1 }).waitFor();
    assert.equal(new URL(tab.url()).pathname + new URL(tab.url()).search, "/costs?range=7d", "where it was asked for");
    clean(faults);
    await nobody.close();
  },

  async cookie() {
    const signed = await context();
    const [cookie] = await signed.cookies();
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, "Strict");
    const opened = await page(signed);
    await open(opened.page, "/overview");
    assert.equal(await opened.page.evaluate(() => document.cookie), "", "no script sees it");
    const kept = await opened.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
    assert.ok(!kept.includes(TOKEN) && !kept.includes(cookie.value), kept);
    await signed.close();
  },

  async light_page() {
    const signed = await context();
    const opened = await page(signed);
    const client = await signed.newCDPSession(opened.page);
    await client.send("Network.enable");
    const sizes = new Map();
    const paths = new Map();
    client.on("Network.requestWillBeSent", ({ requestId, request }) => paths.set(requestId, new URL(request.url).pathname));
    client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => sizes.set(requestId, encodedDataLength));
    await open(opened.page, "/overview");
    const own = [...sizes].filter(([id]) => !paths.get(id).startsWith("/api/"));
    const total = own.reduce((sum, [, size]) => sum + size, 0);
    assert.ok(total > 20_000 && total <= 150 * 1024, `${total} bytes`);
    clean(opened.faults);
    await signed.close();
    return `${total} bytes in ${own.length} files`;
  },

  keyboard: signedIn(async (tab) => {
    await open(tab, "/overview");
    await tabTo(tab, () => document.activeElement.classList.contains("skip"), 1);
    await tabTo(tab, () => document.activeElement.getAttribute("href") === "/regions");
    const ring = await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(ring, "none", "the focus is seen");
    await tab.keyboard.press("Enter");
    await tab.getByRole("heading", { name: "Regions", level: 1 }).waitFor();
    await settle(tab);
    await tabTo(tab, () => document.activeElement.getAttribute("aria-label") === "Drain… eastus");
    await tab.keyboard.press("Enter");
    await tab.getByRole("dialog").waitFor();
    await tabTo(tab, () => document.activeElement.matches("dialog input[required]"));
    await tab.keyboard.type("trying the keyboard");
    await tab.keyboard.press("Escape");
    await tab.getByRole("dialog").waitFor({ state: "detached" });
    const back = await tab.evaluate(() => document.activeElement.getAttribute("aria-label"));
    assert.equal(back, "Drain… eastus", "the focus is where it was");
    await tab.keyboard.press("/");
    assert.equal(await tab.evaluate(() => document.activeElement.id), "find");
  }),

  drain_and_undo: signedIn(async (tab) => {
    await open(tab, "/regions");
    await tab.getByRole("button", { name: "Drain… eastus" }).click();
    const dialog = tab.getByRole("dialog");
    await dialog.getByText("Who receives").waitFor();
    assert.equal(await regionState("eastus"), "enabled", "a preview changes nothing");
    await accessible(tab);
    await shot(tab, "drain-light");
    await dialog.getByLabel("Reason").fill("maintenance of the link");
    await dialog.getByLabel("For how long").fill("30m");
    await dialog.locator("button[type=submit]").click();
    await waitForState("eastus", "draining");
    await tab.getByText("maintenance of the link").waitFor();
    await shot(tab, "drained-light");
    const region = (await api("/regions")).items.find((region) => region.name === "eastus");
    assert.ok(region.until && region.author === "root" , JSON.stringify(region));
    await tab.getByRole("button", { name: "Undo" }).click();
    await waitForState("eastus", "enabled");
  }),

  failover_preview: signedIn(async (tab) => {
    await open(tab, "/regions");
    await tab.getByRole("button", { name: "Drain… eastus" }).click();
    const dialog = tab.getByRole("dialog");
    await dialog.getByRole("button", { name: "Fail over", exact: true }).first().click();
    await dialog.getByLabel("To region").selectOption("global");
    await dialog.getByText(/Who receives|Nobody has used|These stay/).first().waitFor();
    await dialog.getByLabel("Reason").fill("rehearsal");
    await dialog.locator("button[type=submit]").click();
    await tab.getByText("Moved away").first().waitFor();
    await tab.getByRole("button", { name: "Fail back" }).click();
    await tab.getByText(/takes requests again/).waitFor();
  }),

  request_drawer: signedIn(async (tab) => {
    await open(tab, `/requests?id=${REQUEST}`);
    const dialog = tab.getByRole("dialog");
    await dialog.getByText("Why it went there").waitFor();
    const row = await api(`/requests/${REQUEST}`);
    const story = await dialog.locator(".story").first().innerText();
    for (const { upstream } of row.attempts) assert.ok(story.includes(upstream), `${upstream}: ${story}`);
    assert.equal(await dialog.locator(".timeline > li").count(), row.attempts.length);
    const bill = await dialog.getByRole("region", { name: "What it cost" }).textContent();
    assert.ok(bill.includes(row.cost), `${bill} has ${row.cost}`);
    await accessible(tab);
    await shot(tab, "request-light");
  }),

  find_by_id: signedIn(async (tab) => {
    await open(tab, "/costs");
    await tab.keyboard.press("/");
    await tab.keyboard.type(REQUEST);
    await tab.keyboard.press("Enter");
    await tab.getByRole("dialog").getByText("Why it went there").waitFor();
    await tab.keyboard.press("Escape");
    await tab.getByRole("dialog").waitFor({ state: "detached" });
    assert.ok(!tab.url().includes("id="), tab.url());
  }),

  export_is_what_is_shown: signedIn(async (tab) => {
    await open(tab, "/costs?range=30d&rows=team&then=model");
    const waiting = tab.waitForEvent("download");
    await tab.getByRole("button", { name: "Export this table" }).click();
    const download = await waiting;
    const text = await readFile(await download.path(), "utf8");
    const lines = text.trim().split("\r\n").map((line) => line.split(","));
    const cost = lines[0].indexOf("cost");
    const body = lines.slice(1, -1);
    const table = tab.getByRole("region", { name: "Breakdown" });
    assert.equal(body.length, await table.locator("tbody tr").count());
    const exact = await table.locator('tbody tr td[data-title="Cost"] .num').evaluateAll((cells) => cells.map((cell) => cell.title));
    assert.deepEqual(body.map((line) => "Exactly " + line[cost]), exact);
    const total = lines.at(-1)[cost];
    assert.equal(await table.locator('tfoot td[data-title="Cost"] .num').first().getAttribute("title"), `Exactly ${total} USD`);
    const picos = (text) => BigInt(text.split(".")[0]) * 10n ** 12n + BigInt((text.split(".")[1] ?? "").padEnd(12, "0"));
    assert.equal(body.reduce((sum, line) => sum + picos(line[cost]), 0n), picos(total), "to the last unit");
    return `${body.length} rows, ${total}`;
  }),

  back_button: signedIn(async (tab) => {
    await open(tab, "/regions");
    await tab.getByRole("button", { name: "Targets", exact: true }).click();
    await tab.waitForURL(/kind=targets/);
    await tab.getByRole("link", { name: "Budgets" }).click();
    await tab.getByRole("heading", { name: "Budgets", level: 1 }).waitFor();
    await tab.goBack();
    await tab.getByRole("heading", { name: "Regions", level: 1 }).waitFor();
    assert.equal(await tab.getByRole("button", { name: "Targets", exact: true }).getAttribute("aria-pressed"), "true");
    await tab.goBack();
    assert.ok(!tab.url().includes("kind"), tab.url());
  }),

  async sign_out() {
    const signed = await context();
    const [cookie] = await signed.cookies();
    const opened = await page(signed, { expected: ["/api/v1/"] });
    await open(opened.page, "/overview");
    await opened.page.locator(".account summary").click();
    await opened.page.getByRole("button", { name: "Sign out" }).click();
    await opened.page.getByLabel("Admin token").waitFor();
    const answer = await fetch(`${ADMIN}/api/v1/me`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
    assert.equal(answer.status, 401, "a copy of the cookie is worth nothing");
    clean(opened.faults);
    await signed.close();
  },
});
await browser.close();
