// The small parts of every view.
import { html, useEffect, useRef, useState } from '../preact.js';
import { follow, path } from '../route.js';
import { rounded } from '../money.js';
import { t } from '../text.js';

const ICONS = {
  overview: 'M2.5 9.5h3l2-6 2.5 9 1.5-3h2', requests: 'M2.5 4h11M2.5 8h11M2.5 12h7', regions: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c2 2 2.5 4 2.5 6S10 12 8 14c-2-2-2.5-4-2.5-6S6 4 8 2z',
  projects: 'M2.5 4.5h4l1.5 2h5.5v6.5h-11z', keys: 'M10.5 2.5a3 3 0 1 1-2.4 4.8L3 12.5V14h2v-1.5h1.5V11L9 8.6M11 5.2v.1', costs: 'M3 13.5V9m3.4 4.5V3.5M9.8 13.5V6.5m3.2 7v-4',
  budgets: 'M8 2a6 6 0 1 0 6 6H8z M10 2.4A6 6 0 0 1 13.6 6H10z', 'my-project': 'M8 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 13.5c.6-2.8 2.4-4 5-4s4.4 1.2 5 4', config: 'M2.5 4.5h6m3 0h2M2.5 11.500h2m3 0h6M10 3v3M6 10v3', audit: 'M4 2.500h8v11l-2-1.3-2 1.3-2-1.3-2 1.300zM6 6h4M6 8.500h4',
  ok: 'M3.5 8.500l3 3 6-7', warn: 'M8 2.500l6 11H2zM8 6.500v3M8 11.500v.1', bad: 'M5.5 2.500h5l3 3v5l-3 3h-5l-3-3v-5zM8 5v3.500M8 10.900v.1', pause: 'M5.5 3.500v9M10.5 3.500v9', off: 'M4 4l8 8M12 4l-8 8', move: 'M2.5 8h10M9 4.500L12.5 8 9 11.5', idle: 'M3 8h10', probe: 'M8 3v5l3 2M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z', lock: 'M4 7.500h8v6H4zM5.5 7.500v-2a2.5 2.5 0 0 1 5 0v2',
  close: 'M4 4l8 8M12 4l-8 8', menu: 'M2.5 4.500h11M2.5 8h11M2.5 11.500h11', copy: 'M5.5 5.500h8v8h-8zM10.5 5.500v-3h-8v8h3', search: 'M7 2.500a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.500l3 3', up: 'M8 12.500v-9M4.5 7L8 3.5 11.5 7', down: 'M8 3.500v9M4.5 9L8 12.5 11.5 9',
  clock: 'M8 4.500V8l2.5 1.500M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z', out: 'M9 2.500H3v11h6M7 8h7M11.5 5.500L14 8l-2.5 2.5',
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[name] || ICONS.idle} /></svg>`;

/** A state in a word and an icon: colour never says it alone. */
export const Badge = ({ tone = 'idle', icon, children }) => html`<span class=${'badge ' + tone}><${Icon} name=${icon || { ok: 'ok', warn: 'warn', bad: 'bad' }[tone] || 'idle'} />${children}</span>`;

export const Link = ({ view, query, children, ...rest }) => html`<a href=${path(view, query)} onClick=${follow} ...${rest}>${children}</a>`;

/** An amount, rounded to be read; the exact one in its title. */
export function Money({ value, currency, places = 2 }) {
  if (value == null) return html`<span class="faint">${t.none}</span>`;
  return html`<span class="num" title=${t.exact(value + (currency ? ' ' + currency : ''))}>${rounded(value, places)}${currency ? html`<span class="unit"> ${currency}</span>` : ''}</span>`;
}

/** A text of ours in which what stands between backticks is code. */
export const Prose = ({ text }) => text.split('`').map((part, i) => (i % 2 ? html`<code key=${i}>${part}</code>` : part));

export function Copy({ text, label = t.copy, quiet = false }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      // Without a secure context browsers do not copy: the text can be marked by hand.
      setDone(false);
    }
  };
  return html`<button type="button" class=${quiet ? 'button quiet' : 'button'} onClick=${copy}><${Icon} name=${done ? 'ok' : 'copy'} /><span aria-live="polite">${done ? t.copied : label}</span></button>`;
}

export const Panel = ({ title, note, action, children, flush = false, id }) => html`
  <section class="panel" aria-labelledby=${id ? id + '-title' : undefined}>
    ${title && html`<header class="panel-head"><div><h2 id=${id ? id + '-title' : undefined}>${title}</h2>${note && html`<p>${note}</p>`}</div>${action}</header>`}
    <div class=${flush ? 'panel-body flush' : 'panel-body'}>${children}</div>
  </section>`;

export const Head = ({ title, lead, children }) => html`<header class="view-head"><div><h1>${title}</h1><p>${lead}</p></div><div class="view-tools">${children}</div></header>`;

export const Tile = ({ label, value, note, tone, children }) => html`
  <div class="tile"><dt>${label}</dt><dd class=${tone ? 'tile-value ' + tone : 'tile-value'}>${value}</dd>${children && html`<dd>${children}</dd>`}<dd class="tile-note">${note}</dd></div>`;

export const Field = ({ label, hint, children, wide }) => html`<label class=${wide ? 'field wide' : 'field'}><span class="field-label">${label}</span>${children}${hint && html`<span class="field-hint">${hint}</span>`}</label>`;

export const Select = ({ label, value, options, onChange, hidden = false }) => html`
  <label class="select"><span class=${hidden ? 'sr' : 'select-label'}>${label}</span>
    <select value=${value} onChange=${(event) => onChange(event.currentTarget.value)}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
    </select></label>`;

/** Looks for names as they are typed; tells after a moment without a key. */
export function Finder({ label, value = '', onFind }) {
  const [text, setText] = useState(value);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onFind(text.trim()), 200);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<label class="filter"><span class="sr">${label}</span><input type="search" value=${text} placeholder=${label} onInput=${(event) => setText(event.currentTarget.value)} autocomplete="off" spellcheck=${false} /></label>`;
}

/** One of a few, side by side. */
export const Tabs = ({ label, value, options, onChange }) => html`
  <div class="tabs" role="group" aria-label=${label}>
    ${options.map(([key, text]) => html`<button key=${key} type="button" aria-pressed=${key === value ? 'true' : 'false'} onClick=${() => onChange(key)}>${text}</button>`)}
  </div>`;

/** A dialog of the browser: it keeps the focus inside and gives it back. */
export function Dialog({ title, onClose, children, side = false }) {
  const dialog = useRef(null);
  useEffect(() => {
    const node = dialog.current;
    if (node && !node.open) node.showModal();
    return () => node && node.open && node.close();
  }, []);
  const onBackdrop = (event) => event.target === dialog.current && onClose();
  return html`
    <dialog ref=${dialog} class=${side ? 'dialog side' : 'dialog'} aria-labelledby="dialog-title" onClick=${onBackdrop}
      onCancel=${(event) => { event.preventDefault(); onClose(); }}>
      <div class="dialog-inner">
        <div class="dialog-head"><h2 id="dialog-title">${title}</h2><button type="button" class="button icon-only" aria-label=${t.close} onClick=${onClose}><${Icon} name="close" /></button></div>
        ${children}
      </div>
    </dialog>`;
}

const toasts = { listener: null };
/** Says what was done, with a way back. */
export const toast = (text, action) => toasts.listener && toasts.listener({ text, action, key: Math.random() });

export function Toasts() {
  const [shown, setShown] = useState(null);
  useEffect(() => {
    toasts.listener = setShown;
    return () => (toasts.listener = null);
  }, []);
  useEffect(() => {
    if (!shown) return undefined;
    const timer = setTimeout(() => setShown(null), shown.action ? 20000 : 6000);
    return () => clearTimeout(timer);
  }, [shown]);
  return html`<div class="toasts" role="status" aria-live="polite">${shown && html`<div class="toast" key=${shown.key}><span>${shown.text}</span>
    ${shown.action && html`<button type="button" class="button" onClick=${() => { setShown(null); shown.action.run(); }}>${shown.action.label}</button>`}
    <button type="button" class="button icon-only" aria-label=${t.close} onClick=${() => setShown(null)}><${Icon} name="close" /></button></div>`}</div>`;
}
