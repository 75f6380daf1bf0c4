// What happens, as it happens: one stream of the admin API for the whole page, however many parts of it look.
// When it breaks it is opened again, later each time; whoever looks is told that it is not live, and asks meanwhile.
import { useEffect, useRef, useState } from './preact.js';
import { open } from './api.js';
import { t } from './text.js';

/** Milliseconds before the first new try, and the most before any. */
const FIRST = 1000;
const LONGEST = 30000;
/** A stream tells how things stand every two seconds: one that is silent for so long is broken. */
const SILENT = 12000;
/** One that has lasted so long was ended in order, by its time. */
const WHOLE = 60000;
/** Characters that one event may have. */
const LARGEST = 8 << 20;

const watchers = new Set();
let state = { status: 'connecting', why: '', retry: 0 };
let control = null;
let timer = 0;
let failures = 0;

function turn(next) {
  state = { why: '', retry: 0, ...next };
  watchers.forEach((watcher) => watcher.turn(state));
}

const tell = (name, data) => watchers.forEach((watcher) => watcher.hear(name, data));

/** The fields of one event; a comment keeps the connection and says nothing. */
function event(block) {
  const fields = { event: 'message', data: '' };
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, '');
  }
  return fields;
}

/** Reads until the stream ends, or is silent for too long. */
async function read(response, alive) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    text += value.replaceAll('\r', '');
    const blocks = text.split('\n\n');
    text = blocks.pop();
    if (text.length > LARGEST) throw new Error(t.live.tooLarge);
    for (const block of blocks) {
      const { event: name, data } = event(block);
      if (data) tell(name, JSON.parse(data));
    }
  }
}

/** Listens until the stream ends, and sees to the next one. */
async function connect() {
  clearTimeout(timer);
  const own = (control = new AbortController());
  const begun = Date.now();
  let silence = 0;
  let why = t.live.ended;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      why = t.live.silent;
      own.abort();
    }, SILENT);
  };
  try {
    alive();
    const response = await open('/stream', own.signal);
    alive();
    turn({ status: 'live' });
    // What happened while nobody listened is not told again.
    tell('gap', null);
    await read(response, alive);
  } catch (problem) {
    if (problem.status) why = problem.message;
    if (problem.status === 401 || problem.status === 403) {
      control = null;
      return problem.status === 403 && turn({ status: 'forbidden', why });
    }
    if (problem.name !== 'AbortError' && !problem.status) why = problem.message || why;
  } finally {
    clearTimeout(silence);
  }
  // It was closed on purpose, or another one took its place.
  if (control !== own) return;
  const lasted = Date.now() - begun;
  if (lasted > WHOLE) return connect();
  if (lasted > SILENT) failures = 0;
  again(why);
}

function again(why) {
  failures += 1;
  // No two pages come back at the same moment.
  const wait = Math.min(LONGEST, FIRST * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
  turn({ status: 'stale', why, retry: Date.now() + wait });
  timer = setTimeout(connect, wait);
}

function close() {
  const former = control;
  control = null;
  clearTimeout(timer);
  if (former) former.abort();
}

/** Nobody looks at a page in the background: it listens again when it is seen. */
function look() {
  const wanted = watchers.size > 0 && !document.hidden;
  if (wanted && !control) {
    turn({ status: 'connecting' });
    connect();
  }
  if (!wanted && control) close();
}

document.addEventListener('visibilitychange', look);

/** Tries at once, whatever was waited for. */
export function retry() {
  close();
  failures = 0;
  look();
}

/**
 * Hears the stream as long as `wanted`: `hear(name, data)` with the names of the API, and `gap` where something
 * may have been missed. Gives how the stream stands: `connecting`, `live`, `stale` (with `why`, and `retry` as a
 * time), `forbidden`.
 */
export function useLive(hear, wanted = true) {
  const [shown, setShown] = useState(state);
  const latest = useRef(hear);
  latest.current = hear;
  useEffect(() => {
    if (!wanted) return undefined;
    const watcher = { hear: (name, data) => latest.current(name, data), turn: setShown };
    watchers.add(watcher);
    look();
    setShown(state);
    return () => {
      watchers.delete(watcher);
      // The next view often wants the same stream.
      setTimeout(look, 300);
    };
  }, [wanted]);
  return shown;
}
