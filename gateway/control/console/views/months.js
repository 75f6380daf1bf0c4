// The end of a month: what was sealed for each team, and closing the next one, with invoices held against it.
import { html, useState } from '../preact.js';
import { call, useApi } from '../api.js';
import { count, instant } from '../format.js';
import { t } from '../text.js';
import { Dialog, Field, Money, Panel, toast } from '../ui/parts.js';
import { Empty, Loaded, Note } from '../ui/states.js';
import { Table } from '../ui/table.js';

const words = t.months;

export function Months({ me }) {
  const statements = useApi('/statements');
  const [isClosing, setClosing] = useState(false);
  const action = me.permissions.includes('close_month') && html`<button type="button" class="button" onClick=${() => setClosing(true)}>${words.close}</button>`;
  const done = () => {
    setClosing(false);
    statements.again();
  };
  return html`<${Panel} title=${words.title} note=${words.note} action=${action} flush id="months">
    <${Loaded} of=${statements} rows=${3} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} quiet title=${words.empty} />`}>${(data) => html`<${Table} label=${words.title} columns=${COLUMNS} rows=${newest(data.items)} rowKey=${(item) => item.id} />`}<//>
    ${isClosing && html`<${Close} onClose=${() => setClosing(false)} onDone=${done} />`}<//>`;
}

const newest = (items) => [...items].sort((a, b) => (a.month === b.month ? a.team.localeCompare(b.team) : a.month < b.month ? 1 : -1));

const COLUMNS = [
  { key: 'month', title: t.fields.month, render: (item) => item.month },
  { key: 'team', title: t.fields.team, render: (item) => item.team },
  { key: 'rows', title: words.rows, num: true, render: (item) => count(item.rows) },
  { key: 'total', title: t.total, num: true, render: (item) => item.totals.map((total) => html`<div key=${total.currency}><${Money} value=${total.amount} currency=${total.currency} /></div>`) },
  { key: 'closed', title: words.closedAt, minor: true, render: (item) => instant(item.closed_at) },
  { key: 'hash', title: t.config.hash, minor: true, render: (item) => html`<code title=${item.hash}>${item.hash.slice(0, 12)}</code>` },
  { key: 'open', title: words.statement, render: (item) => html`<a href=${'/api/v1/statements/' + encodeURIComponent(item.id)} download=${item.id + '.json'} aria-label=${words.take(item.month, item.team)}>${words.download}</a>` },
];

/** The month before this one, as the API writes months. */
function lastMonth() {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1)).toISOString().slice(0, 7);
}

function Close({ onClose, onDone }) {
  const [order, setOrder] = useState({ month: lastMonth(), reason: '', accept: '' });
  const [files, setFiles] = useState([]);
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => setOrder({ ...order, [name]: event.currentTarget.value });
  const choose = async (event) => {
    const chosen = [...event.currentTarget.files];
    setFiles(await Promise.all(chosen.map(async (file) => ({ name: file.name, content: await file.text() }))));
  };
  const submit = async (event) => {
    event.preventDefault();
    setProblem(null);
    // Each file is an invoice of its own: they may be of several providers.
    const proof = files.length ? { invoices: files.map((file) => ({ files: [file] })), ...(order.accept.trim() && { accept: order.accept }) } : { without_reconciliation: order.reason };
    try {
      await call('/close', { method: 'POST', body: { month: order.month, ...proof } });
      toast(words.closed(order.month));
      onDone();
    } catch (problem) {
      setProblem(problem);
    }
  };
  return html`<${Dialog} title=${words.close} onClose=${onClose}><form class="form" onSubmit=${submit}>
    <p>${words.what}</p>
    <${Field} label=${t.fields.month} hint=${words.monthHint}><input value=${order.month} onInput=${set('month')} required pattern="[0-9]{4}-[0-9]{2}" /><//>
    <${Field} label=${words.invoices} hint=${words.invoicesHint}><input type="file" multiple onChange=${choose} /><//>
    ${files.length ? html`<${Field} label=${words.accept} hint=${words.acceptHint}><input value=${order.accept} onInput=${set('accept')} maxlength="200" /><//>` : html`<${Field} label=${words.without} hint=${words.withoutHint}><input value=${order.reason} onInput=${set('reason')} required maxlength="200" /><//>`}
    ${problem && html`<${Note} tone="bad" icon="bad">${problem.message}${problem.errors.length > 0 && html`<ul class="plain">${problem.errors.map((error, i) => html`<li key=${i}>${error}</li>`)}</ul>`}<//>`}
    <div class="form-end"><span class="spring"></span><button type="button" class="button" onClick=${onClose}>${t.cancel}</button><button type="submit" class="button primary">${words.close}</button></div>
  </form><//>`;
}
