// The link of a first start.

import assert from "node:assert/strict";
import { browser, clean, context, LINK, page } from "./console_browser.mjs";
import { runAll } from "./reporting.mjs";

const first = await context({ token: null });
const opened = await page(first, { expected: ["/api/v1/me"] });

await runAll({
  async signs_in() {
    await opened.page.goto(LINK);
    await opened.page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    clean(opened.faults);
  },
  async leaves_no_trace() {
    const secret = LINK.split("#")[1];
    assert.ok(!opened.page.url().includes(secret), opened.page.url());
    await opened.page.goBack().catch(() => {});
    assert.ok(!opened.page.url().includes(secret), opened.page.url());
  },
  async only_once() {
    const second = await context({ token: null });
    const { page: tab } = await page(second);
    await tab.goto(LINK);
    await tab.getByText(/the link was used/).waitFor();
    await second.close();
  },
});
await browser.close();
