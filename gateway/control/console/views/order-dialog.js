// An operator's order: what it would do is shown before it is done.
import { html, useEffect, useState } from '../preact.js';
import { call } from '../api.js';
import { count } from '../format.js';
import { rounded } from '../money.js';
import { t } from '../text.js';
import { Badge, Copy, Dialog, Field, Tabs } from '../ui/parts.js';
import { Failed, Note, Skeleton } from '../ui/states.js';
import { Table } from '../ui/table.js';

const words = t.regions;

/** The body of the call: what is empty is left out. */
function bodyOf(action, { reason, lasts, deadline, ramp, to, force }) {
  const body = { reason: reason.trim() };
  if (lasts.trim()) body.for = lasts.trim();
  if (action === 'disable' && deadline.trim()) body.deadline = deadline.trim();
  if (action === 'failover') {
    body.to = to;
    if (ramp.trim()) body.ramp = ramp.trim();
  }
  if (force) body.force = true;
  return body;
}

const quoted = (text) => (/^[\w./@:-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'");

function commandOf(kind, name, action, body) {
  const flags = Object.entries(body).filter(([, value]) => value !== '').map(([key, value]) => (value === true ? '--' + key : `--${key} ${quoted(String(value))}`));
  return ['tollgate', kind, action, quoted(name), ...flags].join(' ');
}

export function OrderDialog({ kind, view, regions, onClose, onDone }) {
  const others = regions.filter((name) => name !== view.name);
  const actions = kind === 'regions' && others.length ? ['drain', 'disable', 'failover'] : ['drain', 'disable'];
  const [action, setAction] = useState('drain');
  const [order, setOrder] = useState({ reason: '', lasts: '', deadline: '', ramp: '', to: others[0] || '', force: false });
  const [preview, setPreview] = useState({ status: 'loading' });
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const set = (name) => (event) => setOrder({ ...order, [name]: event.currentTarget.type === 'checkbox' ? event.currentTarget.checked : event.currentTarget.value });
  const address = `/${kind}/${encodeURIComponent(view.name)}/${action}`;

  useEffect(() => {
    const control = new AbortController();
    setPreview({ status: 'loading' });
    const { force, ...body } = bodyOf(action, { ...order, lasts: '', deadline: '', ramp: '' });
    call(address, { method: 'POST', body: { ...body, reason: body.reason || words.preview, preview: true }, signal: control.signal })
      .then((data) => setPreview({ status: 'ready', data }))
      .catch((problem) => !control.signal.aborted && setPreview({ status: 'error', problem }));
    return () => control.abort();
  }, [action, order.to]);

  const apply = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await call(address, { method: 'POST', body: bodyOf(action, order) });
      onDone(view, action);
    } catch (problem) {
      setProblem(problem);
      setBusy(false);
    }
  };
  const homeless = preview.data ? preview.data.homeless : [];

  return html`
    <${Dialog} title=${view.name} onClose=${onClose} side>
      <form class="form" onSubmit=${apply}>
        <${Tabs} label=${words.what} value=${action} options=${actions.map((key) => [key, words[key]])} onChange=${setAction} />
        <p class="lead">${words.does[action]}</p>
        ${action === 'failover' && html`<${Field} label=${words.to}><select value=${order.to} onChange=${set('to')}>${others.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select><//>`}
        <${Field} label=${words.reason} hint=${words.reasonHint} wide><input value=${order.reason} onInput=${set('reason')} required maxlength="200" /><//>
        <div class="fields">
          <${Field} label=${words.lasts} hint=${words.lastsHint}><input value=${order.lasts} onInput=${set('lasts')} /><//>
          ${action === 'disable' && html`<${Field} label=${words.deadline} hint=${words.deadlineHint}><input value=${order.deadline} onInput=${set('deadline')} /><//>`}
          ${action === 'failover' && html`<${Field} label=${words.ramp} hint=${words.rampHint}><input value=${order.ramp} onInput=${set('ramp')} /><//>`}
        </div>
        <section class="preview"><h3>${words.preview}</h3>
          ${preview.status === 'loading' && html`<p class="faint">${words.previewing}</p><${Skeleton} rows=${3} />`}
          ${preview.status === 'error' && html`<${Failed} problem=${preview.problem} />`}
          ${preview.data && html`<${Preview} data=${preview.data} />`}
        </section>
        ${homeless.length > 0 && html`<label class="check"><input type="checkbox" checked=${order.force} onChange=${set('force')} /> ${words.force}</label>`}
        ${problem && html`<${Note} tone="bad" icon="bad">${problem.message}${problem.errors.length > 0 && html`<ul class="plain">${problem.errors.map((error, i) => html`<li key=${i}>${error}</li>`)}</ul>`}<//>`}
        <div class="form-end">
          <${Copy} text=${commandOf(kind, view.name, action, bodyOf(action, order))} label=${words.copyCli} />
          <span class="spring"></span>
          <button type="button" class="button" onClick=${onClose}>${t.cancel}</button>
          <button type="submit" class="button primary" disabled=${busy || (homeless.length > 0 && !order.force)}>${words.apply[action]}</button>
        </div>
      </form>
    <//>`;
}

const homeName = (home) => `${home.team}/${home.project}: ${home.model}`;

function Preview({ data }) {
  const moves = [
    { key: 'who', title: t.fields.project, render: (move) => html`${move.team}/${move.project}<span class="sub">${move.model}</span>` },
    { key: 'to', title: words.goes, render: (move) => (move.to ? html`<code>${move.to}</code>` : html`<${Badge} tone="bad">${words.refused}<//>`) },
    { key: 'rpm', title: words.rpm, num: true, render: (move) => count(move.requests_per_minute) },
    { key: 'tpm', title: words.tpm, num: true, render: (move) => count(move.tokens_per_minute) },
  ];
  return html`
    ${data.homeless.length > 0 && html`<${Note} tone="bad" icon="bad">${words.homeless}<ul class="plain">${data.homeless.map((home) => html`<li key=${homeName(home)}>${homeName(home)}</li>`)}</ul><//>`}
    ${data.stays.length > 0 && html`<${Note} tone="warn">${words.stays}<ul class="plain">${data.stays.map((home) => html`<li key=${homeName(home)}>${homeName(home)}</li>`)}</ul><//>`}
    ${data.moves.length === 0 ? html`<p class="faint">${words.nothingMoves}</p>` : html`
      <p>${words.priceHour(rounded(data.price_per_hour, 4) + ' ' + data.currency, rounded(data.price_per_hour_after, 4) + ' ' + data.currency)}</p>
      <${Table} label=${words.preview} columns=${moves} rows=${data.moves} />
      <h4>${words.receivers}</h4>
      ${data.receivers.map((receiver) => html`<${Receiver} key=${receiver.target} receiver=${receiver} />`)}`}`;
}

/** What a receiver has now and would have, against what it is known to take. */
function Receiver({ receiver }) {
  const capacity = receiver.capacity_tokens_per_minute;
  const scale = Math.max(capacity || 0, receiver.tokens_per_minute_after, 1);
  const share = capacity ? receiver.tokens_per_minute_after / capacity : null;
  const tone = !receiver.fits || share > 1 ? 'bad' : share > 0.8 ? 'warn' : 'ok';
  const width = (value) => ({ width: Math.min(100, (value / scale) * 100) + '%' });
  return html`<div class="receiver">
    <div class="receiver-head"><code>${receiver.target}</code><${Badge} tone=${tone}>${tone === 'bad' ? words.tooMuch : words.fits}<//></div>
    <div class=${'meter ' + tone}><i class="after" style=${width(receiver.tokens_per_minute_after)}></i><i class="before" style=${width(receiver.tokens_per_minute)}></i></div>
    <p class="small">${words.tpm}: ${words.before.toLowerCase()} ${count(receiver.tokens_per_minute)}, ${words.after.toLowerCase()} ${count(receiver.tokens_per_minute_after)}${capacity ? `; ${words.capacity.toLowerCase()} ${count(capacity)}` : ''}</p>
  </div>`;
}
