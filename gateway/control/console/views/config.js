// Config: what runs, what ran before, and whether the next one would.
import { html, useState } from '../preact.js';
import { call, query as q, useApi } from '../api.js';
import { ago, count, instant } from '../format.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Badge, Dialog, Field, Head, Icon, Panel, toast } from '../ui/parts.js';
import { Empty, Loaded, Note } from '../ui/states.js';
import { Table } from '../ui/table.js';

const words = t.config;

export function Config({ me, query }) {
  const running = useApi('/config?texts=false', { every: 10000 });
  const history = useApi('/config/history?diff=false');
  const [back, setBack] = useState(null);
  const may = (permission) => me.permissions.includes(permission);
  const reload = async () => {
    try {
      await call('/config/reload', { method: 'POST', body: {} });
      toast(words.reloaded);
    } catch (problem) {
      toast([problem.message, ...problem.errors].join(' · '));
    }
    running.again();
    history.again();
  };
  const shown = history.data && history.data.items.find((version) => String(version.version) === query.version);
  const columns = [
    { key: 'version', title: words.version, render: (version) => html`<button type="button" class="link" onClick=${() => refine({ version: version.version })}>${version.version}</button> ${running.data && running.data.version === version.version && html`<${Badge} tone="ok">${words.current}<//>`}` },
    { key: 'time', title: words.time, render: (version) => html`<span title=${instant(version.time)}>${ago(version.time)}</span>` },
    { key: 'author', title: words.author, render: (version) => version.author },
    { key: 'source', title: words.source, render: (version) => version.source },
    { key: 'hash', title: words.hash, render: (version) => html`<code title=${version.hash}>${version.hash.slice(0, 12)}</code>` },
  ];
  if (may('change_config')) columns.push({ key: 'act', title: '', render: (version) => running.data && running.data.version !== version.version && html`<button type="button" class="button" aria-label=${words.rollback + ': ' + version.version} onClick=${() => setBack(version)}>${words.rollback}</button>` });
  return html`
    <${Head} title=${t.views.config} lead=${words.lead}>${may('reload') && html`<button type="button" class="button" onClick=${reload}>${words.reload}</button>`}<//>
    <${Panel} title=${words.running} id="running"><${Loaded} of=${running}>${(data) => html`<${Running} data=${data} />`}<//><//>
    <${Panel} title=${words.history} flush id="history"><${Loaded} of=${history} isEmpty=${(data) => !data.items.length}>${(data) => html`<${Table} label=${words.history} columns=${columns} rows=${data.items} rowKey=${(version) => version.version} selected=${(version) => version === shown} onOpen=${(version) => refine({ version: version.version })} />`}<//><//>
    ${may('reload') && html`<${Validate} />`}
    ${shown && html`<${Dialog} title=${words.version + ' ' + shown.version} onClose=${() => refine({ version: null })} side><h3>${words.diff}</h3><${Changed} may=${may('change_config')} version=${shown} versions=${history.data.items} /><//>`}
    ${back && html`<${Rollback} version=${back} running=${running.data} onClose=${() => { setBack(null); running.again(); history.again(); }} />`}`;
}

function Running({ data }) {
  const facts = [[words.version, data.version], [words.time, instant(data.time)], [words.author, data.author], [words.source, data.source], [words.hash, data.hash], [words.files, data.files.join(', ')]];
  return html`
    ${data.last_error && html`<${Note} tone="bad" icon="bad">${words.lastError} (${data.last_error.author}, ${ago(data.last_error.time)})<ul class="plain">${data.last_error.errors.map((error, i) => html`<li key=${i}><code>${error}</code></li>`)}</ul><//>`}
    <p class="faint"><${Icon} name="lock" /> ${words.fileManaged}</p>
    <dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <h3>${words.warnings}</h3><${Warnings} warnings=${data.warnings} />`;
}

/** What a version changed of the one before it; asked for when somebody looks. */
function Changed({ may, version, versions }) {
  const before = versions[versions.indexOf(version) + 1];
  const diff = useApi(may && before ? '/config/diff' + q({ from: before.version, to: version.version }) : null);
  if (!may) return html`<${Diff} text=${null} />`;
  if (!before) return html`<p class="faint">${words.oldest}</p>`;
  return html`<${Loaded} of=${diff}>${(data) => html`<${Diff} text=${data.diff} />`}<//>`;
}

/** So many warnings are drawn at first, and more each time. */
const DRAWN = 50;

function Warnings({ warnings }) {
  const [most, setMost] = useState(DRAWN);
  if (!warnings.length) return html`<p class="faint">${words.noWarnings}</p>`;
  return html`<ul class="plain">${warnings.slice(0, most).map((warning, i) => html`<li key=${i}><code>${warning}</code></li>`)}</ul>
    ${warnings.length > most && html`<div class="table-end"><span class="faint">${t.drawn(count(most), count(warnings.length))}</span><button type="button" class="button" onClick=${() => setMost(most + 4 * DRAWN)}>${t.more}</button></div>`}`;
}

/** A diff by lines. Each kind of line has a sign before it: colour never says it alone. */
export function Diff({ text }) {
  if (text == null) return html`<p class="faint">${words.noDiff}</p>`;
  if (text === '') return html`<${Empty} title=${words.same} />`;
  const kind = (line) => (line.startsWith('+') ? 'plus' : line.startsWith('-') ? 'minus' : line.startsWith('@') ? 'place' : '');
  return html`<pre class="diff" tabindex="0">${text.split('\n').map((line, i) => html`<span key=${i} class=${kind(line)}>${line + '\n'}</span>`)}</pre>`;
}

function Validate() {
  const [text, setText] = useState('');
  const [result, setResult] = useState(null);
  const check = async (event) => {
    event.preventDefault();
    try {
      setResult(await call('/config/validate', { method: 'POST', text, headers: { 'content-type': 'application/yaml' } }));
    } catch (problem) {
      setResult({ problem });
    }
  };
  return html`<${Panel} title=${words.validate} id="validate"><form class="form" onSubmit=${check}>
    <label class="field wide"><span class="field-hint">${words.paste}</span><textarea rows="8" value=${text} onInput=${(event) => setText(event.currentTarget.value)} spellcheck=${false}></textarea></label>
    <div class="form-end"><button type="submit" class="button" disabled=${!text.trim()}>${words.check}</button></div>
    ${result && result.problem && html`<${Note} tone="bad" icon="bad">${result.problem.errors.length ? words.errors(result.problem.errors.length) : result.problem.message}<ul class="plain">${result.problem.errors.map((error, i) => html`<li key=${i}><code>${error}</code></li>`)}</ul><//>`}
    ${result && result.warnings && html`<${Note} tone="ok" icon="ok">${words.good}${result.warnings.length > 0 && html`<ul class="plain">${result.warnings.map((warning, i) => html`<li key=${i}><code>${warning}</code></li>`)}</ul>`}<//>`}
    ${result && result.diff != null && html`<h3>${words.diff}</h3><${Diff} text=${result.diff} />`}
  </form><//>`;
}

function Rollback({ version, running, onClose }) {
  const [reason, setReason] = useState('');
  const [problem, setProblem] = useState(null);
  const apply = async (event) => {
    event.preventDefault();
    try {
      // Only if what runs is still what the reader saw running.
      await call('/config/rollback', { method: 'POST', body: { version: version.version, reason }, headers: { 'if-match': `"${running.hash}"` } });
      toast(words.rolledBack(version.version));
      onClose();
    } catch (problem) {
      setProblem(problem);
    }
  };
  return html`<${Dialog} title=${words.rollback} onClose=${onClose}><form class="form" onSubmit=${apply}>
    <p>${words.sureRollback(version.version)}</p>
    <${Field} label=${t.regions.reason} hint=${t.regions.reasonHint}><input value=${reason} onInput=${(event) => setReason(event.currentTarget.value)} maxlength="200" /><//>
    ${problem && html`<${Note} tone="bad" icon="bad">${problem.message}${problem.errors.length > 0 && html`<ul class="plain">${problem.errors.map((error, i) => html`<li key=${i}><code>${error}</code></li>`)}</ul>`}<//>`}
    <div class="form-end"><span class="spring"></span><button type="button" class="button" onClick=${onClose}>${t.cancel}</button><button type="submit" class="button primary">${words.rollback}</button></div>
  </form><//>`;
}
