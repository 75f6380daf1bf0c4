// Requests: rows of the ledger with their filters; one of them in full.
import { html, useEffect, useRef, useState } from '../preact.js';
import { call, query as q, useApi } from '../api.js';
import { count, instant, millis, moment } from '../format.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Badge, Copy, Head, Money, Panel, Select } from '../ui/parts.js';
import { Range, period } from '../ui/range.js';
import { Empty, Loaded, Note } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { RequestDrawer } from './request-drawer.js';

const words = t.requests;
const FILTERS = ['team', 'project', 'key', 'model', 'error_code'];
const RANGES = ['15m', '1h', '6h', '24h', '7d', '30d', 'month', 'last'];

export function Requests({ query }) {
  const [live, setLive] = useState(true);
  const kind = query.kind || 'usage';
  const asked = { kind, ...Object.fromEntries(FILTERS.map((name) => [name, query[name]])), end: query.end, ...period(query, '24h'), limit: 100 };
  const address = '/requests' + q(asked);
  const [reading, setReading] = useState(false);
  const rows = useApi(address, { every: live && !reading && !query.id ? 3000 : 0 });
  const [older, loadMore] = useOlder(address, rows.data);
  const all = rows.data ? [...rows.data.items, ...older.items] : [];
  const shown = query.tries ? all.filter((row) => row.attempt_count > 1) : all;

  return html`
    <${Head} title=${t.views.requests} lead=${words.lead}>
      <label class="check"><input type="checkbox" role="switch" checked=${live} onChange=${(event) => setLive(event.currentTarget.checked)} /> ${words.live}</label>
      <${Range} query=${query} usual="24h" ranges=${RANGES} />
      <${Copy} text=${`curl -H "authorization: Bearer $TOLLGATE_TOKEN" '${location.origin}/api/v1${address}'`} label=${t.asCurl} />
    <//>
    <${Filters} query=${query} kind=${kind} />
    <div onPointerEnter=${() => setReading(true)} onPointerLeave=${() => setReading(false)}>
      <${Panel} flush>
        <${Loaded} of=${rows} rows=${8} isEmpty=${() => !shown.length} empty=${html`<${Empty} title=${words.empty} text=${words.emptyText}><button type="button" class="button" onClick=${clear}>${words.clear}</button><//>`}>${() => html`
          <${Table} label=${words.list} columns=${COLUMNS} rows=${shown} rowKey=${(row) => row.id} selected=${(row) => row.id === query.id} onOpen=${(row) => refine({ id: row.id })} />`}<//>
        ${shown.length > 0 && html`<div class="table-end"><span class="faint">${words.showing(count(shown.length))}${live && reading ? ' · ' + words.paused : ''}</span>
          ${older.problem && html`<${Note} tone="bad">${older.problem.message}<//>`}
          ${(older.next || (rows.data && rows.data.next)) && html`<button type="button" class="button" disabled=${older.busy} onClick=${loadMore}>${t.more}</button>`}</div>`}
      <//>
    </div>
    ${query.id && html`<${RequestDrawer} key=${query.id} id=${query.id} onClose=${() => refine({ id: null })} />`}`;
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
