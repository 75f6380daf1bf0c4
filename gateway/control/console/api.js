// The admin API, as the page uses it: nothing else is ever asked for anything.
import { useCallback, useEffect, useRef, useState } from './preact.js';
import { t } from './text.js';

let proof = null;
let onSignedOut = () => {};
let lastInput = Date.now();
/** So long after the last key or click, in milliseconds, a page counts as looked at. */
const ATTENDED = 60000;
for (const event of ['pointerdown', 'keydown', 'wheel']) {
  addEventListener(event, () => (lastInput = Date.now()), { passive: true, capture: true });
}

export const setProof = (text) => (proof = text);
export const whenSignedOut = (listener) => (onSignedOut = listener);

/** What the API said no with. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || t.problem.status(status));
    this.status = status;
    this.code = body.code || '';
    this.errors = Array.isArray(body.errors) ? body.errors.map(String) : [];
  }
}

/** A query text without what is empty. */
export function query(values) {
  const known = Object.entries(values).filter(([, value]) => value != null && value !== '');
  return known.length ? '?' + new URLSearchParams(known) : '';
}

/** Sends, and gives the answer as it begins. */
async function send(path, options) {
  try {
    return await fetch('/api/v1' + path, { credentials: 'same-origin', ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, { detail: t.problem.unreachable });
  }
}

/** Calls the API below /api/v1. */
export async function call(path, { method = 'GET', body, text, headers = {}, unattended = false, signal } = {}) {
  const sent = { accept: 'application/json', ...headers };
  if (unattended) sent['x-tollgate-unattended'] = '1';
  if (method !== 'GET' && proof) sent['x-tollgate-csrf'] = proof;
  if (body !== undefined) sent['content-type'] = 'application/json';
  const response = await send(path, { method, headers: sent, body: body === undefined ? text : JSON.stringify(body), signal });
  const answer = await response.text();
  let value = null;
  try {
    value = answer ? JSON.parse(answer) : null;
  } catch {
    if (response.ok) throw new Problem(response.status, { detail: t.problem.notJson });
  }
  if (response.ok) return value;
  if (response.status === 401 && path !== '/session') onSignedOut();
  throw new Problem(response.status, value || {});
}

/** Opens an answer that goes on. It is opened by the page itself unless somebody has just done something. */
export async function open(path, signal) {
  const headers = { accept: 'text/event-stream' };
  if (lastInput < Date.now() - ATTENDED) headers['x-tollgate-unattended'] = '1';
  const response = await send(path, { headers, signal });
  if (response.ok) return response;
  if (response.status === 401) onSignedOut();
  throw new Problem(response.status, await response.json().catch(() => ({})));
}

/**
 * What a path answers, asked again every `every` milliseconds while the page is seen. States: `loading`, `ready`,
 * `stale` (there is an answer, and the latest try failed), `error`, `forbidden`. With `keeps` the answer to a former
 * path is shown, marked `isOld`, until the next one is there.
 */
export function useApi(path, { every = 0, keeps = false } = {}) {
  const [state, setState] = useState({ status: 'loading', data: null });
  const [turn, setTurn] = useState(0);
  const shown = useRef(null);
  const pace = useRef(every);
  const replan = useRef(() => {});
  const again = useCallback(() => setTurn((turn) => turn + 1), []);

  useEffect(() => {
    if (path == null) return undefined;
    const control = new AbortController();
    let timer = 0;
    let isAsking = false;
    if (shown.current !== path) setState((former) => (keeps && former.data != null ? { ...former, isOld: true } : { status: 'loading', data: null }));
    const ask = async (isFirst) => {
      const asked = Date.now();
      isAsking = true;
      try {
        const data = await call(path, { unattended: !isFirst && lastInput < asked - Math.max(pace.current, ATTENDED), signal: control.signal });
        shown.current = path;
        setState({ status: 'ready', data, at: Date.now() });
      } catch (problem) {
        if (control.signal.aborted) return;
        setState((former) => {
          if (problem.status === 403) return { status: 'forbidden', data: null, problem };
          const has = former.data != null && shown.current === path;
          return has ? { ...former, status: 'stale', problem } : { status: 'error', data: null, problem };
        });
      }
      isAsking = false;
      plan();
    };
    const plan = () => {
      clearTimeout(timer);
      if (pace.current && !isAsking && !control.signal.aborted) timer = setTimeout(look, pace.current);
    };
    // Nobody looks at a page in the background: it asks again when it is seen.
    const look = () => (document.hidden ? document.addEventListener('visibilitychange', look, { once: true, signal: control.signal }) : ask(false));
    replan.current = plan;
    ask(true);
    return () => {
      control.abort();
      clearTimeout(timer);
      replan.current = () => {};
    };
  }, [path, turn]);
  // Another pace changes when it is asked again, and asks nothing by itself.
  useEffect(() => {
    pace.current = every;
    replan.current();
  }, [every]);

  // Nothing is asked for: what an earlier path answered is not the answer.
  return path == null ? { status: 'loading', data: null, again } : { ...state, again };
}
