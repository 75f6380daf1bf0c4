// What a role sees: the views of its rights, and no word of what it may not know.

import assert from "node:assert/strict";
import { browser, clean, context, open, page, shot } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

/** Walks through all links of the rail and gives the views with everything that was on the pages. */
async function walk(token) {
  const signed = await context({ token });
  // A role may lack a right that a part of a view asks for: the part says so.
  const opened = await page(signed, { expected: ["/api/v1/"] });
  await open(opened.page, "/");
  const landed = new URL(opened.page.url()).pathname.slice(1);
  const views = await opened.page.locator(".rail a").evaluateAll((links) => links.map((link) => link.getAttribute("href").slice(1)));
  let text = "";
  for (const view of views) {
    await open(opened.page, "/" + view);
    text += await opened.page.locator("body").innerText();
  }
  clean(opened.faults);
  return { signed, tab: opened.page, landed, views, text };
}

const check = (token, landed, views, more = async () => {}) => async () => {
  const seen = await walk(token);
  assert.equal(seen.landed, landed);
  assert.deepEqual(seen.views, views);
  await more(seen);
  await seen.signed.close();
};

const all = ["overview", "requests", "regions", "costs", "budgets", "projects", "keys", "my-project", "config", "audit"];
const without = (...names) => all.filter((view) => !names.includes(view));

await runAll({
  admin: check(undefined, "overview", all),
  operator: check("token-of-the-operator", "overview", without("keys"), async ({ tab }) => {
    await open(tab, "/regions");
    assert.ok((await tab.getByRole("button", { name: /^Drain… / }).count()) > 0);
    await open(tab, "/keys");
    await tab.getByText("Not with this token").waitFor();
    await tab.getByText("role operator may not read keys").waitFor();
    await shot(tab, "forbidden-light");
  }),
  finance: check("token-of-finance-desk", "costs", ["requests", "costs", "budgets", "projects", "my-project"]),
  viewer: check("token-of-the-viewer", "overview", without("keys"), async ({ tab }) => {
    await open(tab, "/regions");
    assert.equal(await tab.getByRole("button", { name: /^Drain… / }).count(), 0, "a viewer does nothing");
  }),
  team_lead: check("token-of-retail-lead", "my-project", ["requests", "costs", "budgets", "projects", "my-project"], async ({ text }) => {
    assert.ok(text.includes("search-assistant"), "its own team");
    for (const foreign of ["health", "triage", "platform", "evals"]) assert.ok(!text.includes(foreign), foreign);
  }),
});
await browser.close();
