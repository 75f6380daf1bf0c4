// The address is the state: the path names the view, the query its filters. A link can be pasted into a chat.
import { useEffect, useState } from './preact.js';

export function here() {
  const view = location.pathname.replace(/^\/+|\/+$/g, '') || '';
  return { view, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

const listeners = new Set();
const tell = () => listeners.forEach((listener) => listener(here()));
addEventListener('popstate', tell);

/** The address of a view; what is empty is left out. */
export function path(view, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value != null && value !== '');
  const text = new URLSearchParams(known).toString();
  return '/' + view + (text ? '?' + text : '');
}

export function go(view, query = {}, { replace = false } = {}) {
  const address = path(view, query);
  if (replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  tell();
}

/** Changes some filters of the view that is shown. */
export function refine(changes, options) {
  const { view, query } = here();
  go(view, { ...query, ...changes }, options);
}

export function useRoute() {
  const [route, setRoute] = useState(here());
  useEffect(() => {
    listeners.add(setRoute);
    return () => listeners.delete(setRoute);
  }, []);
  return route;
}

/** For a link: opens here without loading the page again, unless the reader wants it elsewhere. */
export function follow(event) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, '', event.currentTarget.getAttribute('href'));
  tell();
  const main = document.getElementById('main');
  if (main) main.focus({ preventScroll: true });
  scrollTo(0, 0);
}
