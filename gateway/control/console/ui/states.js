// The states of whatever is loaded: loading, empty, partial, stale, error, no permission.
import { html } from '../preact.js';
import { ago } from '../format.js';
import { t } from '../text.js';
import { retry } from '../live.js';
import { Badge, Icon } from './parts.js';

export const Note = ({ tone = 'info', icon = 'warn', children }) => html`<div class=${'note ' + tone} role=${tone === 'bad' ? 'alert' : 'status'}><${Icon} name=${icon} /><div>${children}</div></div>`;

export const Partial = ({ what }) => html`<${Note} tone="warn" icon="clock">${t.states.partial(what)}<//>`;

/** Whether what is shown comes as it happens. */
export const LiveMark = ({ of }) => html`<${Badge} tone=${{ live: 'ok', stale: 'warn' }[of.status] || 'idle'} icon=${of.status === 'live' ? 'ok' : 'clock'}>${{ live: t.live.live, connecting: t.live.connecting }[of.status] || t.live.paused}<//>`;

/** Says that a live view has become one that is asked for, and how often that is. */
export const NotLive = ({ of, every }) => of.status === 'stale' && html`<${Note} tone="warn" icon="clock">${t.live.stale(of.why, every / 1000)} <button type="button" class="button" onClick=${retry}>${t.retry}</button><//>`;

/** Nothing to show; `quiet` where that is usual. */
export const Empty = ({ title = t.states.empty, text, quiet = false, children }) => html`<div class="blank">${quiet ? html`<p>${title}</p>` : html`<h3>${title}</h3>`}${text && html`<p>${text}</p>`}${children}</div>`;

export const Skeleton = ({ rows = 4 }) => html`<div class="skeleton" role="status"><span class="sr">${t.states.loading}</span>${Array.from({ length: rows }, (_, row) => html`<i key=${row}></i>`)}</div>`;

export const Failed = ({ problem, again }) => html`
  <div class="blank" role="alert"><h3><${Icon} name="bad" /> ${t.states.error}</h3><p>${problem.message}</p>
    ${problem.errors && problem.errors.length > 0 && html`<ul class="plain">${problem.errors.map((error, i) => html`<li key=${i}><code>${error}</code></li>`)}</ul>`}
    ${again && html`<button type="button" class="button" onClick=${again}>${t.retry}</button>`}</div>`;

export const Forbidden = ({ problem }) => html`
  <div class="blank"><h3><${Icon} name="lock" /> ${t.states.forbidden}</h3><p>${problem.message}.</p><p>${t.states.forbiddenHelp}</p></div>`;

/** Shows an answer of `useApi` in whichever state it is; `children` is a function of the data. */
export function Loaded({ of, rows, isEmpty, empty, children }) {
  if (of.status === 'loading') return html`<${Skeleton} rows=${rows} />`;
  if (of.status === 'forbidden') return html`<${Forbidden} problem=${of.problem} />`;
  if (of.status === 'error' && of.problem.status === 501) return html`<${Empty} title=${t.states.notBuilt} text=${of.problem.message} />`;
  if (of.status === 'error') return html`<${Failed} problem=${of.problem} again=${of.again} />`;
  const stale = of.status === 'stale' && html`<${Note} tone="warn" icon="clock">${t.states.stale(ago(of.at), of.problem.message)} <button type="button" class="button" onClick=${of.again}>${t.retry}</button><//>`;
  const content = isEmpty && isEmpty(of.data) ? empty || html`<${Empty} />` : children(of.data);
  return html`${stale}${content}`;
}
