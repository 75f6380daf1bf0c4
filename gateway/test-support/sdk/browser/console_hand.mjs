// A person at the console: clicks that are counted, or the same by keys alone.

import assert from "node:assert/strict";

/** Where the focus is among what can have it; many presses of Tab on a full page. */
const MOST_TABS = 400;

export class Hand {
  /** `way` is `mouse` or `keyboard`. */
  constructor(page, way) {
    this.page = page;
    this.way = way;
    this.clicks = 0;
    this.presses = 0;
  }

  /** Presses a button, opens a link. */
  async press(target) {
    this.clicks += 1;
    if (this.way === "mouse") return target.click();
    await this.reach(target);
    return this.page.keyboard.press("Enter");
  }

  /** Chooses in a list. */
  async choose(target, label) {
    this.clicks += 1;
    if (this.way === "mouse") return target.selectOption({ label });
    await this.reach(target);
    return this.page.keyboard.type(label);
  }

  /** Writes into a field; getting there is no click by keyboard, and one by mouse that nobody counts as work. */
  async write(target, text) {
    if (this.way === "mouse") return target.fill(text);
    await this.reach(target);
    await this.page.keyboard.press("ControlOrMeta+a");
    return this.page.keyboard.type(text);
  }

  /** Opens a view by the rail, which is behind a button where the screen is narrow. */
  async go(view) {
    const menu = this.page.getByRole("button", { name: "Menu" });
    if (await menu.isVisible()) await this.press(menu);
    await this.press(this.page.locator(".rail").getByRole("link", { name: view, exact: true }));
    await this.page.getByRole("heading", { name: view, level: 1 }).waitFor();
    await this.page.waitForFunction(() => !document.querySelector(".skeleton"));
  }

  /** Tab, until the target has the focus and it is seen that it has. */
  async reach(target) {
    await target.waitFor();
    const node = await target.elementHandle();
    for (let turn = 0; turn < MOST_TABS; turn += 1) {
      if (await node.evaluate((node) => node === document.activeElement)) {
        const ring = await node.evaluate((node) => getComputedStyle(node).outlineStyle !== "none" || getComputedStyle(node).boxShadow !== "none");
        assert.ok(ring, "the focus is seen");
        return;
      }
      await this.page.keyboard.press("Tab");
      this.presses += 1;
    }
    throw new Error(`not reached by Tab: ${target}`);
  }
}
