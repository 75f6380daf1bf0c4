// Requests: rows of the ledger with their filters; one of them in full.
import { html, useEffect, useRef, useState } from '../preact.js';
import { call, query as q, useApi } from '../api.js';
import { count, instant, millis, moment } from '../format.js';
import { useLive } from '../live.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Badge, Copy, Head, Money, Panel, Select } from '../ui/parts.js';
import { Range, period } from '../ui/range.js';
import { Empty, LiveMark, Loaded, NotLive, Note } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { RequestDrawer } from './request-drawer.js';

const words = t.requests;
const FILTERS = ['team', 'project', 'key', 'model', 'error_code'];
const RANGES = ['15m', '1h', '6h', '24h', '7d', '30d', 'month', 'last'];

/** How often the list is read again, in milliseconds: beside a live stream only to be sure. */
const SLOW = 30000;
const FAST = 3000;
/** Rows that came live, before the list is read again; then they are in it. */
const MOST_FRESH = 200;

export function Requests({ query }) {
  const [wanted, setWanted] = useState(true);
  const kind = query.kind || 'usage';
  const filters = { ...Object.fromEntries(FILTERS.map((name) => [name, query[name]])), end: query.end };
  const range = period(query, '24h');
  const address = '/requests' + q({ kind, ...filters, ...range, limit: 100 });
  const [reading, setReading] = useState(false);
  // A period that has ended gets no new rows, and nobody wants the list to move under the eyes.
  const follows = wanted && !range.to && !query.id;
  const isMoving = follows && !reading;
  const fits = (row) => row.kind === kind && Object.entries(filters).every(([name, value]) => !value || row[name] === value);
  const fresh = useFresh(address, fits, follows, isMoving);
  const { live } = fresh;
  const rows = useApi(address, { every: !isMoving ? 0 : live.status === 'live' && !fresh.isBehind ? SLOW : FAST });
  const [older, loadMore] = useOlder(address, rows.data);
  useEffect(() => fresh.settle(rows.data), [rows.data]);
  const all = rows.data ? [...fresh.rows.filter(isNotIn(rows.data.items)), ...rows.data.items, ...older.items] : [];
  const shown = query.tries ? all.filter((row) => row.attempt_count > 1) : all;

  return html`
    <${Head} title=${t.views.requests} lead=${words.lead}>
      ${follows && html`<${LiveMark} of=${live} />`}
      <label class="check"><input type="checkbox" role="switch" checked=${wanted} onChange=${(event) => setWanted(event.currentTarget.checked)} /> ${words.live}</label>
      <${Range} query=${query} usual="24h" ranges=${RANGES} />
      <${Copy} text=${`curl -H "authorization: Bearer $TOLLGATE_TOKEN" '${location.origin}/api/v1${address}'`} label=${t.asCurl} />
    <//>
    <${Filters} query=${query} kind=${kind} />
    ${follows && html`<${NotLive} of=${live} every=${FAST} />`}
    <div onPointerEnter=${() => setReading(true)} onPointerLeave=${() => setReading(false)}>
      <${Panel} flush>
        <${Loaded} of=${rows} rows=${8} isEmpty=${() => !shown.length} empty=${html`<${Empty} title=${words.empty} text=${words.emptyText}><button type="button" class="button" onClick=${clear}>${words.clear}</button><//>`}>${() => html`
          <${Table} label=${words.list} columns=${COLUMNS} rows=${shown} rowKey=${(row) => row.id} selected=${(row) => row.id === query.id} onOpen=${(row) => refine({ id: row.id })} />`}<//>
        ${shown.length > 0 && html`<div class="table-end"><span class="faint">${words.showing(count(shown.length))}${follows && reading ? ' · ' + words.paused : ''}</span>
          ${older.problem && html`<${Note} tone="bad">${older.problem.message}<//>`}
          ${(older.next || (rows.data && rows.data.next)) && html`<button type="button" class="button" disabled=${older.busy} onClick=${loadMore}>${t.more}</button>`}</div>`}
      <//>
    </div>
    ${query.id && html`<${RequestDrawer} key=${query.id} id=${query.id} onClose=${() => refine({ id: null })} />`}`;
}

const isNotIn = (items) => {
  const known = new Set(items.map((row) => row.id));
  return (row) => !known.has(row.id);
};

/**
 * Rows that came live, the newest first. `settle` holds them against a list that was read: what is as old as its
 * newest row is in it. They are behind where some were not told one by one, or are too many: then the list has
 * to be read again soon.
 */
function useFresh(address, fits, wanted, isMoving) {
  const nothing = { rows: [], isBehind: false };
  const [fresh, setFresh] = useState(nothing);
  useEffect(() => setFresh(nothing), [address]);
  const live = useLive((name, data) => {
    if (name === 'gap' || name === 'dropped') return setFresh((former) => ({ ...former, isBehind: true }));
    if (name !== 'requests') return undefined;
    const own = data.items.filter(fits);
    if (!own.length && !data.left_out) return undefined;
    return setFresh((former) => {
      if (!isMoving || data.left_out || former.rows.length > MOST_FRESH) return { ...former, isBehind: true };
      const rows = [...own, ...former.rows.filter(isNotIn(own))].sort((a, b) => (a.id < b.id ? 1 : -1));
      return { ...former, rows };
    });
  }, wanted);
  const settle = (list) => {
    if (!list) return;
    const newest = list.items.length ? list.items[0].id : '';
    setFresh((former) => ({ rows: former.rows.filter((row) => row.id > newest), isBehind: false }));
  };
  return { ...fresh, settle, live };
}

const clear = () => refine({ ...Object.fromEntries(FILTERS.map((name) => [name, null])), end: null, kind: null, tries: null, range: null, from: null, to: null });

/** The pages after the first one, as far as the reader asked for them. */
function useOlder(address, first) {
  const nothing = { items: [], next: null, busy: false, problem: null };
  const [older, setOlder] = useState(nothing);
  const current = useRef(address);
  // Live rows push the first page forward: what was loaded below it stays, without those shown twice.
  useEffect(() => {
    current.current = address;
    setOlder(nothing);
  }, [address]);
  const known = new Set(first ? first.items.map((row) => row.id) : []);
  const load = async () => {
    setOlder({ ...older, busy: true, problem: null });
    try {
      const page = await call(address + '&' + new URLSearchParams({ after: older.next || first.next }));
      if (current.current !== address) return;
      setOlder({ items: [...older.items, ...page.items], next: page.next, busy: false, problem: null });
    } catch (problem) {
      setOlder({ ...older, busy: false, problem });
    }
  };
  return [{ ...older, items: older.items.filter((row) => !known.has(row.id)) }, load];
}

function Filters({ query, kind }) {
  const submit = (event) => {
    event.preventDefault();
    const form = event.currentTarget.elements;
    refine({ ...Object.fromEntries(FILTERS.map((name) => [name, form[name].value.trim() || null])), end: form.end.value || null });
  };
  const kinds = Object.keys(words.kind).map((key) => [key, words.kind[key]]);
  const isFiltered = [...FILTERS, 'end', 'tries'].some((name) => query[name]) || kind !== 'usage';
  // The form is built anew when the address changes, so that it shows what is filtered by.
  return html`
    <form class="filters" key=${JSON.stringify(query)} onSubmit=${submit}>
      <${Select} hidden label=${t.fields.kind} value=${kind} options=${kinds} onChange=${(value) => refine({ kind: value === 'usage' ? null : value })} />
      ${FILTERS.map((name) => html`<label key=${name} class="filter"><span class="sr">${t.fields[name]}</span><input name=${name} value=${query[name] || ''} placeholder=${t.fields[name]} autocomplete="off" spellcheck=${false} /></label>`)}
      <label class="filter"><span class="sr">${t.fields.end}</span><select name="end" value=${query.end || ''}><option value="">${t.fields.end}</option>${words.ends.map((end) => html`<option key=${end} value=${end} selected=${end === query.end}>${end}</option>`)}</select></label>
      <label class="check"><input type="checkbox" checked=${Boolean(query.tries)} onChange=${(event) => refine({ tries: event.currentTarget.checked ? '1' : null })} /> ${words.tries}</label>
      <button type="submit" class="button">${words.filter}</button>
      ${isFiltered && html`<button type="button" class="button quiet" onClick=${clear}>${words.clear}</button>`}
    </form>`;
}

/** How a row ended, in a word. */
export function Outcome({ row }) {
  if (row.kind === 'refusal') return html`<${Badge} tone="warn" icon="off">${row.error_code || row.status}<//>`;
  if (row.end === 'completed') return html`<${Badge} tone="ok">${row.status}<//>`;
  if (row.end === 'client_abort') return html`<${Badge} tone="idle">${row.end}<//>`;
  return html`<${Badge} tone="bad">${row.error_code || row.end || row.status}<//>`;
}

const COLUMNS = [
  { key: 'time', title: t.fields.time, render: (row) => html`<button type="button" class="link" title=${instant(row.started_at)} aria-label=${moment(row.started_at) + ', ' + words.details + ' ' + row.id} onClick=${() => refine({ id: row.id })}>${moment(row.started_at)}</button>` },
  { key: 'outcome', title: t.fields.status, render: (row) => html`<${Outcome} row=${row} />` },
  { key: 'who', title: t.fields.project, render: (row) => html`${row.team}/${row.project}<span class="sub">${row.key}</span>` },
  { key: 'model', title: t.fields.model, className: 'clip', render: (row) => html`<span title=${row.model}>${row.model}</span>` },
  { key: 'where', title: t.fields.upstream, render: (row) => (row.upstream ? html`${row.upstream}<span class="sub">${row.region}</span>` : t.none) },
  { key: 'tries', minor: true, title: t.fields.attempts, num: true, render: (row) => (row.attempt_count > 1 ? html`<strong>${row.attempt_count}</strong>` : row.attempt_count) },
  { key: 'tokens', minor: true, title: t.fields.tokens, num: true, render: (row) => html`${count(row.input_tokens)}<span class="faint"> → </span>${count(row.output_tokens)}` },
  { key: 'ttft', minor: true, title: t.fields.ttft, num: true, render: (row) => millis(row.ttft_ms) },
  { key: 'duration', title: t.fields.duration, num: true, render: (row) => millis(row.duration_ms) },
  { key: 'cost', title: t.fields.cost, num: true, render: (row) => html`<${Money} value=${row.cost} places=${6} />` },
];
