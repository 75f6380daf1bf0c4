// Regions, upstreams, targets and models: how they stand, and an operator's word about them.
import { html, useState } from '../preact.js';
import { call, useApi } from '../api.js';
import { ago, count, instant, millis, percent } from '../format.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Badge, Head, Link, Panel, Tabs, toast } from '../ui/parts.js';
import { Empty, Loaded } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { isOrdered, stateOf } from './fleet-state.js';
import { OrderDialog } from './order-dialog.js';

const words = t.regions;
const KINDS = ['regions', 'upstreams', 'targets', 'models'];

export function Regions({ me, query }) {
  const kind = KINDS.includes(query.kind) ? query.kind : 'regions';
  const list = useApi('/' + kind, { every: 3000 });
  const [order, setOrder] = useState(null);
  const mayAct = me.permissions.includes('operate');
  const fits = (view) => (!query.region || view.region === query.region || view.name === query.region) && (!query.upstream || view.upstream === query.upstream || view.name === query.upstream);

  const enable = async (view, isUndo) => {
    const way = view.failover && !isUndo ? 'failback' : 'enable';
    try {
      await call(`/${kind}/${encodeURIComponent(view.name)}/${way}`, { method: 'POST', body: { reason: words.undoReason } });
      toast(words.undone(view.name));
    } catch (problem) {
      toast(problem.message);
    }
    list.again();
  };
  const reset = async (view) => {
    try {
      await call(`/upstreams/${encodeURIComponent(view.name)}/reset`, { method: 'POST', body: { reason: words.reset } });
      toast(words.done(words.isNow.reset, view.name));
    } catch (problem) {
      toast(problem.message);
    }
    list.again();
  };
  const done = (view, action) => {
    setOrder(null);
    list.again();
    const undo = action === 'failover' ? () => enable({ ...view, failover: true }) : () => enable(view, true);
    toast(words.done(words.isNow[action], view.name), { label: t.undo, run: undo });
  };

  return html`
    <${Head} title=${t.views.regions} lead=${words.lead}><${Tabs} label=${t.views.regions} value=${kind} options=${KINDS.map((key) => [key, words.kinds[key]])} onChange=${(key) => refine({ kind: key === 'regions' ? null : key })} /><//>
    ${(query.region || query.upstream) && html`<p class="chips"><${Chip} name="region" value=${query.region} /><${Chip} name="upstream" value=${query.upstream} /></p>`}
    <${Panel} flush>
      <${Loaded} of=${list} rows=${6} isEmpty=${(data) => !data.items.filter(fits).length} empty=${html`<${Empty} title=${words.empty} />`}>${(data) => html`
        <${Table} label=${words.kinds[kind]} rowKey=${(view) => view.name} rows=${data.items.filter(fits)} columns=${columns(kind, mayAct, { enable, reset, open: setOrder })} />`}<//>
    <//>
    ${order && html`<${OrderDialog} kind=${kind} view=${order} regions=${kind === 'regions' && list.data ? list.data.items.map((view) => view.name) : []} onClose=${() => setOrder(null)} onDone=${done} />`}`;
}

const Chip = ({ name, value }) => value && html`<button type="button" class="chip" onClick=${() => refine({ [name]: null })}>${t.fields[name]}: ${value}<span aria-hidden="true"> ×</span><span class="sr"> ${t.requests.clear}</span></button>`;

function columns(kind, mayAct, act) {
  const name = (view) => {
    if (kind === 'regions') return html`<${Link} view="regions" query=${{ kind: 'upstreams', region: view.name }}><strong>${view.name}</strong><//>`;
    if (kind === 'upstreams') return html`<${Link} view="regions" query=${{ kind: 'targets', upstream: view.name }}><strong>${view.name}</strong><//><span class="sub">${view.region}</span>`;
    return html`<strong>${view.name}</strong>${view.region && html`<span class="sub">${view.region}</span>`}`;
  };
  const state = (view) => {
    const state = stateOf(view);
    return html`<${Badge} tone=${state.tone} icon=${state.icon}>${state.word}<//>`;
  };
  const list = [
    { key: 'name', title: t.fields.name, render: name },
    { key: 'state', title: t.fields.state, render: state },
    { key: 'breaker', minor: true, title: words.breaker, render: (view) => words.breakers[view.breaker] },
    { key: 'flight', title: words.inFlight, num: true, render: (view) => count(view.in_flight) },
    { key: 'success', minor: true, title: words.success, num: true, render: (view) => percent(view.success_rate) },
    { key: 'ttft', title: words.ttft, num: true, render: (view) => millis(view.ewma_ttft_ms) },
    { key: 'zones', minor: true, title: words.zones, render: (view) => view.zones.join(', ') || t.none },
    { key: 'note', title: words.note, className: 'grow', render: (view) => html`<${Remark} view=${view} />` },
  ];
  if (mayAct) list.push({ key: 'act', title: '', render: (view) => html`<${Actions} kind=${kind} view=${view} act=${act} />` });
  return list;
}

function Remark({ view }) {
  const told = [];
  if (view.failover) told.push(html`<span>${words.movedTo(view.failover.to, percent(view.failover.share_permille / 1000, 0))}: ${view.failover.reason} <span class="faint">${words.by(view.failover.author, ago(view.failover.since))}${view.failover.until ? ', ' + ago(view.failover.until) : ''}</span></span>`);
  if (view.author) told.push(html`<span>${view.reason || t.none} <span class="faint">${words.by(view.author, ago(view.since))}${view.until ? html`, ${words.ends} <span title=${instant(view.until)}>${ago(view.until)}</span>` : ''}</span></span>`);
  if (view.hold_until) told.push(html`<span>${t.stateWords.held} ${ago(view.hold_until)}</span>`);
  if (view.credential) told.push(html`<span class="faint">${words.credential[view.credential.state]}${view.credential.trouble ? ': ' + view.credential.trouble : ''}</span>`);
  return told.length ? html`<div class="remarks">${told}</div>` : html`<span class="faint">${t.none}</span>`;
}

function Actions({ kind, view, act }) {
  const isOut = isOrdered(view) || view.failover || view.awaits_operator;
  return html`<div class="row-actions" role="group" aria-label=${words.actions(view.name)}>
    ${kind === 'upstreams' && view.breaker !== 'closed' && html`<button type="button" class="button" onClick=${() => act.reset(view)}>${words.reset}</button>`}
    ${isOut ? html`<button type="button" class="button" aria-label=${(view.failover ? words.failback : words.enable) + ' ' + view.name} onClick=${() => act.enable(view)}>${view.failover ? words.failback : words.enable}</button>` : html`<button type="button" class="button" aria-label=${words.act(view.name)} onClick=${() => act.open(view)}>${words.drainMore}</button>`}
  </div>`;
}
