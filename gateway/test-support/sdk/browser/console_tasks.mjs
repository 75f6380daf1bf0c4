// What finance, operators and application developers come for, each task within so many clicks: with a mouse,
// by keys alone, and on a telephone's width.

import assert from "node:assert/strict";
import { ADMIN, accessible, api, browser, clean, context, fits, KEY, open, page, REQUEST, settle, shot } from "./console_browser.mjs";
import { Hand } from "./console_hand.mjs";
import { runAll } from "./reporting.mjs";

const ROOT = undefined;
const OPERATOR = "token-of-the-operator";
const FINANCE = "token-of-finance-desk";
const LEAD = "token-of-retail-lead";

const rowsOf = (tab, name) => tab.getByRole("region", { name, exact: true }).locator("tbody tr");
const cell = (row, title) => row.locator(`td[data-title="${title}"]`);
const exactly = async (cell) => (await cell.locator(".num").first().getAttribute("title")).replace("Exactly ", "").split(" ")[0];

/**
 * `who`, `clicks` that are enough (`keys` where keys need more; a `menu` is one more on a telephone), answers that may
 * be `refused`, `work(tab, hand)` from the view after sign-in.
 */
const TASKS = {
  // Finance
  cost_by_team: {
    who: FINANCE, clicks: 0,
    async work(tab) {
      const wanted = (await api("/usage?by=team&from=this-month")).items;
      const rows = rowsOf(tab, "Breakdown");
      await rows.first().waitFor();
      for (const { team, cost } of wanted) {
        const row = rows.filter({ has: tab.getByRole("link", { name: team, exact: true }) });
        assert.equal(await exactly(cell(row, "Cost")), cost, team);
        await cell(row, "Same days last month").waitFor();
        await cell(row, "Budget left").waitFor();
      }
    },
  },
  cause_of_a_jump: {
    who: FINANCE, clicks: 3, keys: 4,
    async work(tab, hand) {
      const days = (await api("/usage?by=day&from=this-month")).items;
      const { day } = days.at(-1);
      if (hand.way === "mouse") {
        hand.clicks += 1;
        await tab.locator(".chart .pick", { has: tab.locator(`title:text("${day}")`) }).click();
      } else {
        await hand.press(tab.getByRole("button", { name: "As a table: Cost by day" }));
        await hand.press(tab.getByRole("link", { name: "Only " + day }));
      }
      await tab.waitForURL(/range=custom/);
      await settle(tab);
      await tab.locator('th:has-text("The day before")').waitFor();
      const next = new URL(tab.url()).searchParams.get("to");
      const [top] = (await api(`/usage?by=team&from=${day}&to=${next}`)).items.sort((a, b) => Number(b.cost) - Number(a.cost));
      await hand.press(rowsOf(tab, "Breakdown").getByRole("link", { name: top.team, exact: true }));
      await tab.waitForURL(/team=/);
      await settle(tab);
      const [project] = (await api(`/usage?by=project&from=${day}&to=${next}&team=${top.team}`)).items.sort((a, b) => Number(b.cost) - Number(a.cost));
      await hand.press(rowsOf(tab, "Breakdown").getByRole("link", { name: project.project, exact: true }));
      await tab.waitForURL(/project=/);
      await settle(tab);
      const models = (await api(`/usage?by=model&from=${day}&to=${next}&team=${top.team}&project=${project.project}`)).items.filter((item) => item.cost !== "0");
      for (const { model, cost } of models) {
        const row = rowsOf(tab, "Breakdown").filter({ has: tab.locator(`td[data-title="Model"]:has-text("${model}")`) });
        assert.equal(await exactly(cell(row.first(), "Cost")), cost, model);
      }
    },
  },
  forecast_by_team: {
    who: FINANCE, clicks: 0,
    async work(tab) {
      const budgets = (await api("/budgets?scope=team")).items.filter((budget) => budget.forecast != null && budget.period === "month");
      assert.ok(budgets.length > 0, "a team has a forecast");
      for (const budget of budgets) {
        const row = rowsOf(tab, "Breakdown").filter({ has: tab.getByRole("link", { name: budget.team, exact: true }) });
        await row.first().waitFor();
        assert.match(await cell(row, "At the end").textContent(), /90 % below/, budget.team);
      }
    },
  },
  export_a_period: {
    who: FINANCE, clicks: 2,
    async work(tab, hand) {
      await hand.choose(tab.getByLabel(/^Period/), "Last 7 days");
      await settle(tab);
      const waiting = tab.waitForEvent("download");
      await hand.press(tab.getByRole("link", { name: "FOCUS 1.4" }));
      assert.match((await waiting).url(), /export\/focus\?from=.+&to=/);
    },
  },
  close_a_month: {
    who: FINANCE, clicks: 3, refused: ["/api/v1/close"],
    async work(tab, hand) {
      const closed = async () => new Set((await api("/statements")).items.map((item) => item.month));
      const months = (await api("/usage?by=month")).items.map((item) => item.month).sort().slice(0, -1);
      const before = await closed();
      const month = months.find((month) => !before.has(month)) || months[0];
      await hand.press(tab.getByRole("button", { name: "Close a month" }));
      const dialog = tab.getByRole("dialog");
      await hand.write(dialog.getByLabel(/^Month/), month);
      await hand.write(dialog.getByLabel(/^Why there is no invoice/), "the provider bills later");
      await hand.press(dialog.locator("button[type=submit]"));
      // Another form of this task may have closed the last open one: then it is told that it is.
      if (before.has(month)) return dialog.getByRole("alert").waitFor();
      await tab.getByText(`${month} is closed`).waitFor();
      await rowsOf(tab, "Closed months").filter({ hasText: month }).first().waitFor();
      assert.ok((await closed()).has(month));
    },
  },
  // Operators
  who_is_sick: {
    who: OPERATOR, clicks: 0,
    before: () => api("/upstreams/aoai-sweden/disable", ROOT, { reason: "the link is down", force: true }),
    after: () => api("/upstreams/aoai-sweden/enable", ROOT, { reason: "it is back" }),
    async work(tab) {
      await tab.locator(".cell.bad", { hasText: "aoai-sweden" }).getByText("Disabled").waitFor();
      await tab.getByText("the link is down").first().waitFor();
      await tab.getByText("What fails").waitFor();
    },
  },
  drain_and_undo: {
    who: OPERATOR, clicks: 4, menu: true,
    async work(tab, hand) {
      const state = async () => (await api("/regions")).items.find((region) => region.name === "eastus").effective_state;
      await hand.go("Regions");
      await hand.press(tab.getByRole("button", { name: "Drain… eastus" }));
      const dialog = tab.getByRole("dialog");
      await dialog.getByText(/Who receives|Nobody has used/).first().waitFor();
      assert.equal(await state(), "enabled", "a preview changes nothing");
      await hand.write(dialog.getByLabel("Reason"), "maintenance");
      await hand.press(dialog.locator("button[type=submit]"));
      await tab.getByText("eastus takes no new requests").waitFor();
      assert.equal(await state(), "draining");
      await hand.press(tab.getByRole("button", { name: "Undo" }));
      await tab.getByText("eastus takes requests again").waitFor();
      assert.equal(await state(), "enabled");
    },
  },
  breakers_and_error_budget: {
    who: OPERATOR, clicks: 0,
    async work(tab) {
      const { gateway } = await api("/me");
      for (const name of ["aoai-eastus", "aoai-sweden", "openai"]) await tab.locator(".cell", { hasText: name }).locator(".badge").waitFor();
      await tab.locator(".burns .badge").first().waitFor();
      await tab.getByText(`configuration ${gateway.config_version}`).waitFor();
    },
  },
  what_changed: {
    who: OPERATOR, clicks: 1,
    before: async () => {
      await api("/upstreams/openai/drain", ROOT, { reason: "to see what changed", force: true });
      await api("/upstreams/openai/enable", ROOT, { reason: "seen" });
    },
    async work(tab, hand) {
      await tab.getByText("to see what changed").first().waitFor();
      await hand.press(tab.getByRole("region", { name: "What changed" }).getByRole("link", { name: "All" }));
      await tab.getByRole("heading", { name: "Audit", level: 1 }).waitFor();
      await hand.write(tab.getByRole("searchbox", { name: /Filter/i }).last(), "to see what changed");
      await rowsOf(tab, "Audit").filter({ hasText: "upstream.drain" }).or(tab.locator("tbody tr", { hasText: "to see what changed" })).first().waitFor();
    },
  },
  why_this_request: {
    who: OPERATOR, clicks: 0,
    async work(tab) {
      await tab.keyboard.press("/");
      await tab.keyboard.type(REQUEST);
      await tab.keyboard.press("Enter");
      const dialog = tab.getByRole("dialog");
      await dialog.getByText("Why it went there").waitFor();
      assert.ok((await dialog.locator(".story li").count()) > 1);
      await dialog.locator(".timeline > li").first().waitFor();
    },
  },
  // Application developers
  create_a_key: {
    who: ROOT, clicks: 3, menu: true,
    async work(tab, hand, form) {
      await hand.go("Keys");
      await hand.press(tab.getByRole("button", { name: "Create a key" }));
      const dialog = tab.getByRole("dialog");
      await hand.write(dialog.getByRole("textbox", { name: /^Project / }), "retail/search-assistant");
      await hand.write(dialog.getByRole("textbox", { name: /^Name / }), "task-" + form);
      await hand.press(dialog.locator("button[type=submit]"));
      const secret = await dialog.locator(".secret code").textContent();
      assert.match(secret, /^tlg_/);
      // What is shown once can be tried at once.
      await hand.press(dialog.getByRole("button", { name: "Test", exact: true }));
      hand.clicks -= 1;
      const result = dialog.locator(".trial-result");
      await result.locator(".badge", { hasText: "Answered" }).waitFor();
      await result.getByText(/input|asked for/).first().waitFor();
      assert.match(await result.textContent(), /retail\/search-assistant/);
      await shot(tab, `test-of-a-key-${form}`);
    },
  },
  copy_a_snippet: {
    who: LEAD, clicks: 2,
    async work(tab, hand) {
      await hand.choose(tab.getByRole("combobox", { name: "Client" }), "OpenAI, Node");
      const text = await tab.locator(".code pre").textContent();
      assert.ok(text.includes("baseURL: 'http://") && text.includes("gpt-5-mini"), text);
      await hand.press(tab.locator(".code").getByRole("button", { name: "Copy" }));
      assert.equal(await tab.evaluate(() => navigator.clipboard.readText()), text);
    },
  },
  own_usage_and_limits: {
    who: LEAD, clicks: 0,
    async work(tab) {
      for (const panel of ["Budget", "Cost by day, last 7 days", "Models you used", "Latest errors"]) await tab.getByRole("heading", { name: panel, level: 2 }).waitFor();
    },
  },
  compare_two_models: {
    who: LEAD, clicks: 2, path: "/my-project?project=retail/search-assistant",
    async work(tab, hand, form) {
      await hand.write(tab.getByLabel("Key", { exact: true }), KEY);
      await hand.write(tab.getByLabel("What to say"), "Which colour has the sky?");
      await hand.choose(tab.getByRole("combobox", { name: "Compare with" }), "text-embedding-3-small");
      await hand.press(tab.getByRole("button", { name: "Test", exact: true }));
      const results = tab.locator(".trial-result");
      await results.nth(1).waitFor();
      assert.equal(await results.count(), 2);
      assert.match(await results.first().textContent(), /Answered.*ms/s);
      assert.ok(!(await tab.content()).includes(KEY) || (await tab.locator(`text=${KEY}`).count()) === 0, "the key is written nowhere");
      await shot(tab, `two-models-${form}`);
    },
  },
};

const FORMS = [
  { form: "mouse", way: "mouse", width: 1440 },
  { form: "keys", way: "keyboard", width: 1440 },
  { form: "narrow", way: "mouse", width: 320 },
];

const check = ({ form, way, width }, { who, clicks, keys, menu, path = "/", refused = [], before, after, work }) => async () => {
  const signed = await context({ token: who, width });
  await signed.grantPermissions(["clipboard-read", "clipboard-write"], { origin: ADMIN });
  const { page: tab, faults } = await page(signed, { expected: refused });
  if (before) await before();
  try {
    await open(tab, path);
    await tab.waitForURL((url) => url.pathname !== "/");
    await settle(tab);
    const hand = new Hand(tab, way);
    const begun = performance.now();
    await work(tab, hand, form);
    const took = Math.round(performance.now() - begun);
    const most = (way === "keyboard" && keys) || clicks + (menu && width < 620 ? 1 : 0);
    assert.ok(hand.clicks <= most, `${hand.clicks} clicks where ${most} are enough`);
    await fits(tab);
    // What the head of the page covers is reached by scrolling.
    await tab.evaluate(() => scrollTo(0, 0));
    await accessible(tab);
    clean(faults);
    return `${hand.clicks} clicks, ${hand.presses} presses of Tab, ${took} ms`;
  } finally {
    if (after) await after();
    await signed.close();
  }
};

const checks = FORMS.flatMap((form) => Object.entries(TASKS).map(([name, task]) => [`${form.form}.${name}`, check(form, task)]));
await runAll(Object.fromEntries(checks));
await browser.close();
