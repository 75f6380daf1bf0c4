// How the scripts report: one line of JSON per check, whatever happens inside it.

import assert from "node:assert/strict";

const { BASE_URL, API_KEY, LIMITED_KEY, SPENT_KEY, SPENT_KEY_400, TEXT } = process.env;

// These checks, else all.
const ONLY = (process.env.ONLY ?? "").split(",").filter(Boolean);

export { API_KEY, BASE_URL, LIMITED_KEY, SPENT_KEY, SPENT_KEY_400, TEXT };

/** Runs the checks one after the other, in the order of the object's members. */
export async function runAll(checks) {
  for (const [name, check] of Object.entries(checks)) {
    if (ONLY.length > 0 && !ONLY.includes(name)) continue;
    let ok = true;
    let detail = "";
    try {
      detail = String((await check()) ?? "");
    } catch (problem) {
      ok = false;
      detail = `${problem.constructor.name}: ${problem.message}`;
    }
    console.log(JSON.stringify({ name, ok, detail }));
  }
}

/** Awaits what must reject with exactly this class and status; gives the error. */
export async function rejects(kind, status, action, member = "status") {
  let answer;
  try {
    answer = await action();
  } catch (problem) {
    assert.ok(problem instanceof kind, `${problem.constructor.name}, wanted ${kind.name}: ${problem.message}`);
    assert.equal(problem[member], status);
    return problem;
  }
  throw new Error(`nothing was thrown, wanted ${kind.name}: ${JSON.stringify(answer)}`);
}

export function positive(number) {
  assert.ok(number > 0, `${number} is not positive`);
}
