// Keys: credentials of applications, made at run time. A secret is shown once.
import { html, useState } from '../preact.js';
import { call, query as q, useApi } from '../api.js';
import { ago, count, instant } from '../format.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Badge, Copy, Dialog, Field, Finder, Head, Panel, toast } from '../ui/parts.js';
import { Empty, Loaded, Note } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { SnippetBox } from './snippet-box.js';

const words = t.keys;
const rowKey = (key) => key.id || [key.team, key.project, key.name].join('/');
/** So many keys are asked for at first, and more each time; the API gives no more than a thousand. */
const PAGE = 100;
const MOST = 1000;
const TONES = { active: 'ok', revoked: 'idle', expired: 'warn' };

export function Keys({ me, query }) {
  const [most, setMost] = useState(PAGE);
  const keys = useApi('/keys' + q({ find: query.find, limit: most }), { keeps: true });
  const models = useApi('/models');
  const [dialog, setDialog] = useState(query.create && me.permissions.includes('manage_keys') ? { kind: 'create' } : null);
  const mayManage = me.permissions.includes('manage_keys');
  const names = models.data ? models.data.items.map((model) => model.name) : [];
  const columns = [
    { key: 'name', title: words.name, render: (key) => html`<strong>${key.name}</strong><span class="sub">${key.prefix ? html`<code>${key.prefix}…</code>` : words.inFile}</span>` },
    { key: 'project', title: words.project, render: (key) => key.team + '/' + key.project },
    { key: 'state', title: words.state, render: (key) => html`<${Badge} tone=${TONES[key.state] || 'warn'}>${words.states[key.state] || key.state}<//>` },
    { key: 'models', title: words.models, className: 'clip', render: (key) => (key.models ? html`<span title=${key.models.join(', ')}>${key.models.join(', ')}</span>` : html`<span class="faint">${words.modelsAll}</span>`) },
    { key: 'expires', title: words.expires, render: (key) => (key.expires ? html`<span title=${instant(key.expires)}>${ago(key.expires)}</span>` : t.none) },
    { key: 'made', title: words.madeAt, render: (key) => (key.created ? html`<span title=${instant(key.created)}>${ago(key.created)}</span><span class="sub">${key.created_by}</span>` : t.none) },
  ];
  if (mayManage) columns.push({ key: 'act', title: '', render: (key) => key.id && key.state === 'active' && html`<div class="row-actions"><button type="button" class="button" onClick=${() => setDialog({ kind: 'rotate', key })}>${words.rotate}</button><button type="button" class="button danger" onClick=${() => setDialog({ kind: 'revoke', key })}>${words.revoke}</button></div>` });
  const close = () => {
    setDialog(null);
    if (query.create) refine({ create: null }, { replace: true });
    keys.again();
  };
  return html`
    <${Head} title=${t.views.keys} lead=${words.lead}><${Finder} label=${words.find} value=${query.find} onFind=${(find) => refine({ find: find || null }, { replace: true })} />${mayManage && html`<button type="button" class="button primary" onClick=${() => setDialog({ kind: 'create' })}>${words.create}</button>`}<//>
    <${Panel} flush><${Loaded} of=${keys} rows=${4} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} title=${query.find ? words.noneFits : words.empty} text=${query.find ? '' : words.emptyText} />`}>${(data) => html`<${Table} label=${t.views.keys} columns=${columns} rows=${data.items} rowKey=${rowKey} />
      ${data.count > data.items.length && html`<div class="table-end"><span class="faint">${t.drawn(count(data.items.length), count(data.count))}</span>${most < MOST && html`<button type="button" class="button" onClick=${() => setMost(Math.min(MOST, most + 2 * PAGE))}>${t.more}</button>`}</div>`}`}<//><//>
    <${Panel} title=${words.snippets} id="snippets"><${SnippetBox} gateway=${me.gateway} models=${names} /><//>
    ${dialog && dialog.kind === 'create' && html`<${CreateDialog} me=${me} project=${query.create} onClose=${close} />`}
    ${dialog && dialog.kind !== 'create' && html`<${ChangeDialog} me=${me} change=${dialog.kind} of=${dialog.key} onClose=${close} />`}`;
}

function CreateDialog({ me, project = '', onClose }) {
  const [order, setOrder] = useState({ project, name: '', expires: '', models: '', reason: '' });
  const [made, setMade] = useState(null);
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => setOrder({ ...order, [name]: event.currentTarget.value });
  const submit = async (event) => {
    event.preventDefault();
    setProblem(null);
    const body = { project: order.project.trim(), name: order.name.trim(), reason: order.reason.trim() };
    if (order.expires) body.expires = new Date(order.expires).toISOString();
    const list = order.models.split(',').map((name) => name.trim()).filter(Boolean);
    if (list.length) body.models = list;
    try {
      setMade(await call('/keys', { method: 'POST', body }));
    } catch (problem) {
      setProblem(problem);
    }
  };
  if (made) return html`<${Made} me=${me} made=${made} onClose=${onClose} />`;
  return html`<${Dialog} title=${words.create} onClose=${onClose}>
    <form class="form" onSubmit=${submit}>
      <${Field} label=${words.project} hint=${words.projectHint}><input value=${order.project} onInput=${set('project')} required autocomplete="off" /><//>
      <${Field} label=${words.name} hint=${words.nameHint}><input value=${order.name} onInput=${set('name')} required autocomplete="off" /><//>
      <${Field} label=${words.expires} hint=${words.expiresHint}><input type="date" value=${order.expires} onInput=${set('expires')} /><//>
      <${Field} label=${words.models} hint=${words.modelsHint}><input value=${order.models} onInput=${set('models')} autocomplete="off" /><//>
      <${Field} label=${words.reason}><input value=${order.reason} onInput=${set('reason')} maxlength="200" /><//>
      ${problem && html`<${Note} tone="bad" icon="bad">${problem.message}<//>`}
      <div class="form-end"><span class="spring"></span><button type="button" class="button" onClick=${onClose}>${t.cancel}</button><button type="submit" class="button primary">${words.submit}</button></div>
    </form><//>`;
}

/** A secret, this once. */
function Made({ me, made, onClose }) {
  const { secret, usable_models: models } = made;
  return html`<${Dialog} title=${words.created} onClose=${onClose} side>
    <${Note} tone="warn" icon="keys">${words.once}<//>
    <p class="secret"><code>${secret}</code><${Copy} text=${secret} /></p>
    <h3>${words.snippets}</h3><${SnippetBox} gateway=${me.gateway} models=${models} secret=${secret} />
    <div class="form-end"><span class="spring"></span><button type="button" class="button primary" onClick=${onClose}>${words.done}</button></div>
  <//>`;
}

function ChangeDialog({ me, change, of, onClose }) {
  const [reason, setReason] = useState('');
  const [made, setMade] = useState(null);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const answer = await call(`/keys/${encodeURIComponent(of.id)}/${change}`, { method: 'POST', body: { reason } });
      if (change === 'rotate') return setMade(answer);
      toast(words.revoked + ': ' + of.name);
      return onClose();
    } catch (problem) {
      return setProblem(problem);
    }
  };
  if (made) return html`<${Made} me=${me} made=${made} onClose=${onClose} />`;
  return html`<${Dialog} title=${change === 'rotate' ? words.rotate : words.revoke} onClose=${onClose}>
    <form class="form" onSubmit=${submit}>
      <p>${change === 'rotate' ? words.sureRotate(of.name) : words.sure(of.name)}</p>
      <${Field} label=${words.reason}><input value=${reason} onInput=${(event) => setReason(event.currentTarget.value)} required maxlength="200" /><//>
      ${problem && html`<${Note} tone="bad" icon="bad">${problem.message}<//>`}
      <div class="form-end"><span class="spring"></span><button type="button" class="button" onClick=${onClose}>${t.cancel}</button><button type="submit" class=${change === 'revoke' ? 'button danger' : 'button primary'}>${change === 'rotate' ? words.rotate : words.revoke}</button></div>
    </form><//>`;
}
