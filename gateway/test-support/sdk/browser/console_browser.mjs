// A headless browser that has signed in to the console, and what every page in it must not do.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const { ADMIN, TOKEN, SCREENSHOTS, REQUEST, LINK, KEY } = process.env;
export const HOSTILE = JSON.parse(process.env.HOSTILE);
export const VIEWS = ["overview", "requests", "regions", "costs", "budgets", "projects", "keys", "my-project", "config", "audit"];

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM });

/** Signs in as the holder of a token; without one, nobody has signed in. */
export async function context({ token = TOKEN, width = 1440, theme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme, reducedMotion: "reduce" });
  if (token) {
    const answer = await context.request.post(`${ADMIN}/api/v1/session`, { data: { token } });
    assert.equal(answer.status(), 204, await answer.text());
  }
  return context;
}

/** A page, and what it did that it must not. `expected` are answers that a check provokes. */
export async function page(context, { expected = [] } = {}) {
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    const from = message.location().url;
    if (!expected.some((part) => from.includes(part))) faults.push(`${message.text()} (${from})`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(ADMIN + "/") && !url.startsWith("blob:" + ADMIN)) faults.push(`request to ${url}`);
  });
  return { page, faults };
}

export const clean = (faults) => assert.deepEqual(faults, [], faults.join("\n"));

/** Opens a view and waits until nothing in it loads any more. */
export async function open(page, path) {
  await page.goto(ADMIN + path);
  await settle(page);
}

export async function settle(page) {
  await page.locator("main h1, .sign-in h1").first().waitFor();
  await page.waitForFunction(() => !document.querySelector(".skeleton"));
  const first = await page.locator("main :is(h1, h2, h3), .sign-in h1").first().evaluate((heading) => heading.tagName);
  assert.equal(first, "H1", "a view begins with its title");
}

/** No finding of axe that is serious or critical. */
export async function accessible(page) {
  await page.evaluate(AXE);
  const findings = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.filter((rule) => ["serious", "critical"].includes(rule.impact)).map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.target.join(" ") + " " + (node.any[0] ? node.any[0].message : "")).join("; ")}`);
  });
  assert.deepEqual(findings, [], findings.join("\n"));
}

/** Nothing makes the page wider than the screen. */
export async function fits(page) {
  const wide = await page.evaluate(() => {
    const room = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= room) return [];
    const over = [...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right > room + 1);
    return [`${document.documentElement.scrollWidth} of ${room}`, ...over.slice(0, 6).map((node) => node.tagName + "." + node.className)];
  });
  assert.deepEqual(wide, [], wide.join(", "));
}

/** The whole page; of a dialog, what is seen. */
export async function shot(page, name) {
  const isOpen = (await page.getByRole("dialog").count()) > 0;
  if (!isOpen) await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: !isOpen });
}

/** The answer of the admin API to the token; with an order, to a POST of it. */
export async function api(path, token = TOKEN, order = undefined) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${ADMIN}/api/v1${path}`, order ? { method: "POST", headers, body: JSON.stringify(order) } : { headers });
  const told = await answer.json();
  assert.ok(!order || answer.ok, JSON.stringify(told));
  return told;
}
