// Audit: who did what, when.
import { html, useState } from '../preact.js';
import { call, query as q, useApi } from '../api.js';
import { count, instant } from '../format.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Head, Icon, Panel } from '../ui/parts.js';
import { Empty, Loaded, Note } from '../ui/states.js';
import { Table, csv, download } from '../ui/table.js';

const words = t.audit;

export function Audit({ query }) {
  const first = useApi('/audit' + q({ limit: 200 }));
  const [older, setOlder] = useState({ items: [], next: undefined });
  const [problem, setProblem] = useState(null);
  const wanted = (query.find || '').toLowerCase();
  const all = first.data ? [...first.data.items, ...older.items] : [];
  const detail = (entry) => (typeof entry.detail === 'string' ? entry.detail : JSON.stringify(entry.detail));
  const shown = all.filter((entry) => [entry.actor, entry.action, entry.subject, detail(entry)].some((text) => text.toLowerCase().includes(wanted)));
  const next = older.next === undefined ? first.data && first.data.next : older.next;
  const more = async () => {
    try {
      const page = await call('/audit' + q({ limit: 200, after: next }));
      setOlder({ items: [...older.items, ...page.items], next: page.next });
    } catch (problem) {
      setProblem(problem);
    }
  };
  const save = () => download('tollgate-audit.csv', csv(['at', 'actor', 'action', 'subject', 'detail'], shown.map((entry) => [entry.at, entry.actor, entry.action, entry.subject, detail(entry)])));
  const columns = [
    { key: 'at', title: t.fields.time, render: (entry) => html`<span class="nowrap">${instant(entry.at)}</span>` },
    { key: 'actor', title: t.fields.actor, render: (entry) => entry.actor },
    { key: 'action', title: t.fields.action, render: (entry) => html`<code>${entry.action}</code>` },
    { key: 'subject', title: t.fields.subject, render: (entry) => entry.subject },
    { key: 'detail', title: t.fields.detail, className: 'grow', render: (entry) => html`<code class="wrap">${detail(entry)}</code>` },
  ];
  return html`
    <${Head} title=${t.views.audit} lead=${words.lead}>
      <label class="filter"><span class="sr">${words.filter}</span><input type="search" value=${query.find || ''} placeholder=${words.filter} onInput=${(event) => refine({ find: event.currentTarget.value || null }, { replace: true })} /></label>
      <button type="button" class="button" disabled=${!shown.length} onClick=${save}><${Icon} name="down" />${words.export}</button>
    <//>
    <${Panel} flush><${Loaded} of=${first} rows=${8} isEmpty=${() => !shown.length} empty=${html`<${Empty} title=${words.empty} text=${words.emptyText} />`}>${() => html`<${Table} label=${words.list} columns=${columns} rows=${shown} rowKey=${(entry) => entry.seq} />`}<//>
      ${problem && html`<${Note} tone="bad">${problem.message}<//>`}
      <div class="table-end"><span class="faint">${words.notShown(count(all.length))}</span>${next && html`<button type="button" class="button" onClick=${more}>${t.more}</button>`}</div><//>`;
}
