// One request in full: its tries on a time line, why it went there in sentences, what it cost by meter.
import { html } from '../preact.js';
import { useApi } from '../api.js';
import { CODES } from '../codes.js';
import { count, instant, millis } from '../format.js';
import { isZero } from '../money.js';
import { t } from '../text.js';
import { Badge, Copy, Dialog, Link, Money, Prose } from '../ui/parts.js';
import { Loaded } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { Outcome } from './requests.js';

const words = t.requests;

export function RequestDrawer({ id, onClose }) {
  const row = useApi('/requests/' + encodeURIComponent(id));
  return html`<${Dialog} title=${words.details} onClose=${onClose} side>
    <p class="id-line"><code>${id}</code><${Copy} text=${id} quiet /><${Copy} text=${location.origin + '/requests?id=' + encodeURIComponent(id)} label=${t.copyLink} quiet /></p>
    <${Loaded} of=${row} rows=${6}>${(row) => html`<${Story} row=${row} />`}<//>
  <//>`;
}

function Story({ row }) {
  return html`
    <div class="summary"><${Outcome} row=${row} /><span>${row.model}</span><span>${millis(row.duration_ms)}</span><${Money} value=${row.cost} currency=${row.currency} places=${6} /></div>
    <h3>${words.decision}</h3><ul class="story">${sentences(row).map((sentence, i) => html`<li key=${i}>${sentence}</li>`)}</ul>
    ${row.explanation && html`<${Beside} explanation=${row.explanation} />`}
    ${CODES[row.error_code] && html`<h3>${words.explain} <code>${row.error_code}</code></h3><ul class="story"><li><${Prose} text=${CODES[row.error_code].meaning} /></li><li><strong>${words.remedy}:</strong> <${Prose} text=${CODES[row.error_code].remedy} /></li></ul>`}
    ${row.attempts.length > 0 && html`<h3>${words.timeline}</h3><${Timeline} row=${row} />`}
    <h3>${words.costs}</h3><${Bill} row=${row} />
    <h3>${words.facts}</h3><${Facts} row=${row} />
    <details class="raw"><summary>${words.row}</summary><pre tabindex="0">${JSON.stringify(row, null, 2)}</pre></details>`;
}

/** What a try came to, in words. */
function told(attempt) {
  const known = words.outcome[attempt.outcome] || attempt.outcome.replaceAll('_', ' ');
  return attempt.status && attempt.outcome !== 'ok' ? `${known}, HTTP ${attempt.status}` : known;
}

/** The targets that were passed over, and what nobody knows any more. */
function Beside({ explanation: { passed_over: others, unknown } }) {
  return html`
    ${others && others.length > 0 && html`<h3>${words.passedOver}</h3><${Table} label=${words.passedOver} columns=${PASSED_OVER} rows=${others} rowKey=${(other) => other.target} />`}
    ${unknown.length > 0 && html`<ul class="story small">${unknown.map((sentence, i) => html`<li key=${i}>${sentence}</li>`)}</ul>`}`;
}

const PASSED_OVER = [
  { key: 'target', title: words.target, render: (other) => html`<code>${other.target}</code><span class="sub">${other.region}</span>` },
  { key: 'why', title: t.fields.reason, className: 'grow', render: (other) => other.why },
];

/** The gateway's own account of the request where the answer has one; else what its row tells. */
function sentences(row) {
  if (row.explanation) return row.explanation.story;
  const say = words.sentence;
  const list = [];
  if (row.kind === 'refusal') list.push(say.refused(row.error_code || row.status));
  if (row.model && row.upstream_model && row.model !== row.upstream_model) list.push(say.aliased(row.model, row.upstream_model));
  const [first, ...others] = row.attempts;
  if (!first && row.kind !== 'refusal') list.push(say.none);
  if (first && !others.length && first.outcome === 'ok') list.push(say.direct(first));
  else if (first) {
    list.push(say.first({ ...first, told: told(first) }));
    others.forEach((attempt) => list.push(say.then({ ...attempt, told: told(attempt) })));
    if (others.length) list.push(say.wait);
  }
  if (row.zone) list.push(say.zone(row.zone));
  if (row.flags.includes('served_model_differs') && row.served_model) list.push(say.servedOther(row.served_model));
  if (row.flags.includes('drilled')) list.push(say.drilled);
  if (row.flags.includes('downgraded')) list.push(say.downgraded);
  if (row.waste_cost && !isZero(row.waste_cost)) list.push(say.waste(row.waste_cost + ' ' + row.currency));
  if (row.end && row.end !== 'completed') list.push(say.end(row.end));
  list.push(say.config(row.config_version));
  return list;
}

/** One bar a try, one after the other: the wait for the first token, then the rest. */
function Timeline({ row }) {
  const total = Math.max(row.duration_ms, row.attempts.reduce((sum, attempt) => sum + attempt.duration_ms, 0), 1);
  let begun = Math.max(0, total - row.attempts.reduce((sum, attempt) => sum + attempt.duration_ms, 0));
  const share = (ms) => (ms / total) * 100 + '%';
  return html`<ol class="timeline">${row.attempts.map((attempt) => {
    const offset = begun;
    begun += attempt.duration_ms;
    const first = Math.min(attempt.ttft_ms ?? attempt.duration_ms, attempt.duration_ms);
    const isGood = attempt.outcome === 'ok';
    return html`<li key=${attempt.n}>
      <div class="timeline-head"><strong>${attempt.upstream}</strong><span class="faint">${attempt.region}</span><${Badge} tone=${isGood ? 'ok' : 'bad'}>${told(attempt)}<//><span class="right">${attempt.ttft_ms != null ? words.first + ' ' + millis(attempt.ttft_ms) + ', ' : ''}${millis(attempt.duration_ms)}</span></div>
      <div class="track"><i class=${isGood ? 'wait' : 'wait bad'} style=${{ left: share(offset), width: share(first) }}></i><i class=${isGood ? 'flow' : 'flow bad'} style=${{ left: share(offset + first), width: share(attempt.duration_ms - first) }}></i></div>
    </li>`;
  })}</ol>`;
}

const BILL = [
  { key: 'meter', title: words.meter, render: (meter) => meter.meter },
  { key: 'quantity', title: words.quantity, num: true, render: (meter) => html`${count(meter.quantity)} <span class="unit">${meter.unit}</span>` },
  { key: 'price', title: words.price, num: true, render: (meter) => html`<span title=${meter.price_id}>${meter.unit_price}</span>` },
  { key: 'cost', title: t.fields.cost, num: true, render: (meter) => meter.cost, foot: (row) => html`<strong>${row.cost}</strong> <span class="unit">${row.currency}</span>` },
];

const Bill = ({ row }) => (row.meters.length ? html`<${Table} label=${words.costs} columns=${BILL} rows=${row.meters} foot=${row} />` : html`<p class="faint">${row.cost == null ? words.noCost : row.cost + ' ' + row.currency}</p>`);

const FACTS = ['started_at', 'ended_at', 'team', 'project', 'key', 'cost_center', 'end_user', 'session', 'client', 'dialect', 'operation', 'stream', 'provider', 'upstream', 'region', 'zone', 'served_model', 'input_tokens', 'cached_input_tokens', 'output_tokens', 'reasoning_tokens', 'usage_source', 'reserved_cost', 'upstream_request_id', 'trace_id', 'error_code'];

function Facts({ row }) {
  const shown = (name) => (name.endsWith('_at') ? instant(row[name]) : typeof row[name] === 'number' ? count(row[name]) : String(row[name]));
  const value = (name) => (name === 'project' || name === 'team' ? html`<${Link} view="requests" query=${{ [name]: row[name] }}>${row[name]}<//>` : shown(name));
  return html`<dl class="facts">${FACTS.filter((name) => row[name] != null && row[name] !== '').map((name) => html`<div key=${name}><dt>${name}</dt><dd>${value(name)}</dd></div>`)}
    ${row.tags && Object.entries(row.tags).map(([name, value]) => html`<div key=${'tag:' + name}><dt>tag:${name}</dt><dd>${String(value)}</dd></div>`)}</dl>`;
}
