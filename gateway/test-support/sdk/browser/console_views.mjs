// Every view, light and dark, wide and narrow.

import assert from "node:assert/strict";
import { accessible, browser, clean, context, fits, open, page, shot, VIEWS } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

const FORMS = [
  { theme: "light", width: 1440, name: "light" },
  { theme: "dark", width: 1440, name: "dark" },
  { theme: "light", width: 320, name: "narrow" },
];

const contexts = await Promise.all(FORMS.map(context));

async function look(view) {
  for (const [i, form] of FORMS.entries()) {
    // Keys at run time may be missing in a build; the view says so.
    const opened = await page(contexts[i], { expected: view === "keys" ? ["/api/v1/keys"] : [] });
    await open(opened.page, "/" + view);
    assert.notEqual(await opened.page.locator("h1").first().textContent(), "");
    assert.equal(await opened.page.locator("main > :first-child").getAttribute("class"), "view-head", "parts stand in their order");
    assert.equal(await opened.page.locator(".blank[role=alert]").count(), 0, "something could not be loaded");
    await shot(opened.page, `${view}-${form.name}`);
    await fits(opened.page);
    await accessible(opened.page);
    clean(opened.faults);
    await opened.page.close();
  }
}

await runAll(Object.fromEntries(VIEWS.map((view) => [`view.${view}`, () => look(view)])));
await browser.close();
