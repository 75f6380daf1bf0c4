// How the scripts report: one line of JSON per check, whatever happens inside it.

/** Runs the checks one after the other, in the order of the object's members. */
export async function runAll(checks) {
  for (const [name, check] of Object.entries(checks)) {
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
