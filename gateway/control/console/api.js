// The admin API, as the page uses it: nothing else is ever asked for anything.
import { useCallback, useEffect, useRef, useState } from './preact.js';
import { t } from './text.js';

let proof = null;
let onSignedOut = () => {};
let lastInput = Date.now();
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

/** Calls the API below /api/v1. */
export async function call(path, { method = 'GET', body, text, headers = {}, unattended = false, signal } = {}) {
  const sent = { accept: 'application/json', ...headers };
  if (unattended) sent['x-tollgate-unattended'] = '1';
  if (method !== 'GET' && proof) sent['x-tollgate-csrf'] = proof;
  if (body !== undefined) sent['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch('/api/v1' + path, {
      method,
      headers: sent,
      body: body === undefined ? text : JSON.stringify(body),
      credentials: 'same-origin',
      signal,
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, { detail: t.problem.unreachable });
  }
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

/**
 * What a path answers, asked again every `every` milliseconds while the page is seen. States: `loading`, `ready`,
 * `stale` (there is an answer, and the latest try failed), `error`, `forbidden`.
 */
export function useApi(path, { every = 0 } = {}) {
  const [state, setState] = useState({ status: 'loading', data: null });
  const [turn, setTurn] = useState(0);
  const shown = useRef(null);
  const again = useCallback(() => setTurn((turn) => turn + 1), []);

  useEffect(() => {
    if (path == null) return undefined;
    const control = new AbortController();
    let timer = 0;
    if (shown.current !== path) setState({ status: 'loading', data: null });
    const ask = async (isFirst) => {
      const asked = Date.now();
      try {
        const data = await call(path, { unattended: !isFirst && lastInput < asked - every, signal: control.signal });
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
      if (every && !control.signal.aborted) timer = setTimeout(look, every);
    };
    // Nobody looks at a page in the background: it asks again when it is seen.
    const look = () => (document.hidden ? document.addEventListener('visibilitychange', look, { once: true, signal: control.signal }) : ask(false));
    ask(true);
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [path, every, turn]);

  return { ...state, again };
}
