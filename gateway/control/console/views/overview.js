// Overview: is it us or them, what does it cost, what has changed.
import { html, useMemo, useState } from '../preact.js';
import { query as q, useApi } from '../api.js';
import { ago, brief, count, hour, instant, millis, percent } from '../format.js';
import { useLive } from '../live.js';
import { drawn, placesFor, rounded, sum } from '../money.js';
import { t } from '../text.js';
import { Figure, Spark } from '../ui/charts.js';
import { Line } from '../ui/line.js';
import { Badge, Head, Icon, Link, Panel, Tile } from '../ui/parts.js';
import { hoursAgo } from '../ui/range.js';
import { Empty, LiveMark, Loaded, NotLive, Note, Partial } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { stateOf } from './fleet-state.js';

/** How often what is not told live is asked, and what is while nothing is live, in milliseconds. */
const SLOW = 15000;
const FAST = 5000;
const words = t.overview;

export function Overview({ me }) {
  const [heard, setHeard] = useState(null);
  const fleet = useApi('/upstreams', { every: SLOW });
  const changes = useApi(me.permissions.includes('read_audit') ? '/changes' + q({ limit: 8 }) : null, { every: SLOW });
  const live = useLive((name, data) => {
    if (name === 'overview') setHeard({ data, at: Date.now() });
    if (name === 'changes') [fleet, changes].forEach((list) => list.again());
  });
  const asked = useApi('/overview', { every: live.status === 'live' ? 0 : FAST });
  const hours = useApi('/usage' + q({ by: 'hour', from: hoursAgo(23) }), { every: SLOW });
  const isNewer = heard && live.status === 'live' && heard.at > (asked.at || 0);
  const now = isNewer ? { ...asked, status: 'ready', data: heard.data } : asked;
  const isNew = hours.data && hours.data.total.requests === 0 && hours.data.total.refusals === 0;
  return html`
    <${Head} title=${t.views.overview} lead=${words.lead}><${LiveMark} of=${live} /><//>
    <${NotLive} of=${live} every=${FAST} />
    ${now.data && now.data.partial && html`<${Partial} what=${words.partial} />`}
    ${now.data && now.data.lately.seconds < WINDOW && html`<${Note} icon="clock">${t.states.partial(words.recent(instant(now.data.since)))}<//>`}
    <${Loaded} of=${now} rows=${2}>${(data) => html`<${Tiles} now=${data} hours=${hours.data} currency=${me.gateway.currency} />`}<//>
    ${isNew && html`<${Panel}><${Empty} title=${words.emptyTitle} text=${words.emptyText}><${Link} view="keys" class="button">${t.keys.snippets}<//><//><//>`}
    <${Panel} title=${words.grid} note=${words.gridNote} id="grid"><${Loaded} of=${fleet}>${(data) => html`<${Grid} upstreams=${data.items} />`}<//><//>
    <div class="columns wide-left">
      <${Panel} title=${words.traffic} note=${words.trafficNote} id="traffic"><${Loaded} of=${hours} rows=${6}>${(data) => html`<${Traffic} hours=${data.items} />`}<//><//>
      <${Panel} title=${words.errorsBy} note=${words.errorsByNote} id="errors" flush><${Loaded} of=${now}>${(data) => html`<${Errors} failures=${data.lately.failures} />`}<//><//>
    </div>
    <div class="columns">
      <${Objectives} /><${Alerts} />${me.permissions.includes('read_audit') && html`<${Changes} of=${changes} />`}
    </div>`;
}

/** Less than this many seconds are not the whole of the last 15 minutes. */
const WINDOW = 15 * 60;

function Tiles({ now, hours, currency }) {
  const { sums, seconds, ttft_p95_ms: ttft } = now.lately;
  const perMinute = (sums.requests * 60) / seconds;
  const share = sums.requests ? sums.failed / sums.requests : null;
  const byHour = useMemo(() => (hours ? everyHour(hours.items.filter((hour) => hour.currency === currency)) : []), [hours, currency]);
  const spentNow = byHour.length ? byHour[byHour.length - 1].cost : '0';
  const places = placesFor([spentNow]);
  return html`<dl class="tiles">
    <${Tile} label=${words.rate} value=${perMinute >= 100 ? brief(perMinute) : perMinute.toFixed(1)} note=${words.rateNote}><${Spark} values=${byHour.map((hour) => hour.requests)} label=${words.traffic} /><//>
    <${Tile} label=${words.errors} tone=${share > 0.05 ? 'bad' : share > 0.01 ? 'warn' : ''} value=${percent(share)} note=${words.errorsNote(count(sums.failed), count(sums.requests)) + (sums.refusals ? '; ' + words.refused(count(sums.refusals)) : '')} />
    <${Tile} label=${words.ttft} value=${millis(ttft)} note=${words.ttftNote} />
    <${Tile} label=${words.cost} value=${html`<span title=${t.exact(spentNow)}>${rounded(spentNow, places)}<span class="unit"> ${currency}</span></span>`} note=${words.costNote(hours ? rounded(sum(byHour.map((hour) => hour.cost)), placesFor(byHour.map((hour) => hour.cost))) + ' ' + currency : t.none)}><${Spark} values=${byHour.map((hour) => drawn(hour.cost))} label=${t.fields.cost} /><//>
    ${now.fleet && html`<${Tile} label=${words.inFlight} value=${count(now.fleet.in_flight)} note=${words.inFlightNote(now.fleet.regions.length)} />`}
  </dl>`;
}

/** So many upstreams are shown one by one; of more, those that are well are only counted. */
const MOST_CELLS = 24;

function Grid({ upstreams }) {
  const isLarge = upstreams.length > MOST_CELLS;
  const regions = [...new Set(upstreams.map((upstream) => upstream.region))].sort();
  const rows = regions.map((region) => {
    const all = upstreams.filter((upstream) => upstream.region === region).map((upstream) => ({ upstream, state: stateOf(upstream) }));
    const shown = isLarge ? all.filter(({ state }) => state.tone !== 'ok') : all;
    return { region, shown, well: all.length - shown.length };
  });
  // Where something is wrong comes first.
  if (isLarge) rows.sort((a, b) => b.shown.length - a.shown.length);
  return html`<div class=${isLarge ? 'heat large' : 'heat'}>${rows.map(({ region, shown, well }) => html`
    <div class="heat-row" key=${region}><h3><${Link} view="regions" query=${{ kind: 'upstreams', region }}>${region}<//></h3>
      <div>${shown.length > 0 && html`<ul>${shown.map(({ upstream, state }) => html`<${Cell} key=${upstream.name} upstream=${upstream} state=${state} />`)}</ul>`}
      ${well > 0 && html`<p class="well"><${Badge} tone="ok">${words.well(well)}<//></p>`}</div></div>`)}</div>`;
}

const Cell = ({ upstream, state }) => html`
  <li><${Link} view="regions" query=${{ kind: 'targets', upstream: upstream.name }} class=${'cell ' + state.tone}>
    <span class="cell-name">${upstream.name}</span><${Badge} tone=${state.tone} icon=${state.icon}>${state.word}<//>
    <span class="cell-facts">${upstream.success_rate == null ? '' : percent(upstream.success_rate) + ' · '}${millis(upstream.ewma_ttft_ms)} · ${count(upstream.in_flight)} ${t.regions.inFlight.toLowerCase()}</span><//></li>`;

/** Every hour of the last day, those without requests too. */
function everyHour(hours) {
  const known = new Map(hours.map((item) => [Date.parse(item.hour), item]));
  // Where a zone is not whole hours from UTC, its hours begin in between.
  const shift = hours.length ? Date.parse(hours[0].hour) % 3600000 : 0;
  const now = Math.floor((Date.now() - shift) / 3600000) * 3600000 + shift;
  return Array.from({ length: 24 }, (_, i) => {
    const at = now - (23 - i) * 3600000;
    const item = known.get(at);
    return { at, requests: item ? item.requests : 0, refusals: item ? item.refusals : 0, cost: item ? item.cost : '0' };
  });
}

function Traffic({ hours }) {
  const all = everyHour(hours);
  const times = all.map((item) => item.at / 1000);
  const series = [
    { name: words.answered, values: all.map((item) => item.requests), color: '--series-1', fill: '--series-1-soft' },
    { name: words.refusedSeries, values: all.map((item) => item.refusals), color: '--series-2' },
  ];
  const columns = [
    { key: 'hour', title: t.fields.hour, render: (item) => hour(item.at) },
    { key: 'requests', title: words.answered, num: true, render: (item) => count(item.requests) },
    { key: 'refusals', title: words.refusedSeries, num: true, render: (item) => count(item.refusals) },
  ];
  const legend = html`<ul class="legend">${series.map((line) => html`<li key=${line.name}><i style=${{ background: `var(${line.color})` }}></i>${line.name}</li>`)}</ul>`;
  return html`<${Figure} label=${words.traffic} legend=${legend} chart=${html`<${Line} label=${words.traffic} times=${times} series=${series} height=${200} />`} table=${html`<${Table} label=${words.traffic} columns=${columns} rows=${all} />`} />`;
}

function Errors({ failures }) {
  const list = failures.slice(0, 8);
  if (!list.length) return html`<${Empty} quiet title=${words.noErrors} />`;
  const columns = [
    { key: 'code', title: t.fields.error_code, render: (item) => html`<${Link} view="requests" query=${{ kind: item.kind, ...(item.error_code ? { error_code: item.error_code } : { end: item.end }), range: '1h' }}><code>${item.error_code || item.end || t.none}</code><//>` },
    { key: 'count', title: t.fields.requests, num: true, render: (item) => count(item.count) },
    { key: 'latest', title: t.mine.last, num: true, render: (item) => ago(item.latest) },
  ];
  return html`<${Table} label=${words.errorsBy} columns=${columns} rows=${list} rowKey=${(item) => item.kind + item.error_code + item.end} />`;
}

function Objectives() {
  const objectives = useApi('/objectives', { every: 15000 });
  const burn = (item) => {
    const windows = item.client.filter((part) => part.burn_rate != null);
    return windows.map((part) => {
      const tone = drawn(part.burn_rate) > 1 ? 'bad' : 'ok';
      return html`<li key=${part.window}><span>${part.window}</span><${Badge} tone=${tone}>${rounded(part.burn_rate, 2)}×<//></li>`;
    });
  };
  return html`<${Panel} title=${words.objectives} note=${words.objectivesNote} id="objectives"><${Loaded} of=${objectives} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} quiet title=${words.noObjectives} />`}>${(data) => html`
    <ul class="rows">${data.items.map((item) => html`<li key=${item.name}><div><strong>${item.model || (item.team && item.team + '/' + item.project) || item.name}</strong><span class="faint"> ${item.aim.replaceAll('_', ' ')} ${item.goal}</span></div><ul class="burns">${burn(item)}</ul></li>`)}</ul>`}<//><//>`;
}

function Alerts() {
  const alerts = useApi('/alerts' + q({ limit: 8 }), { every: 15000 });
  return html`<${Panel} title=${words.alerts} id="alerts"><${Loaded} of=${alerts} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} quiet title=${words.noAlerts} />`}>${(data) => html`
    <ol class="rows">${data.items.map((alert, i) => html`<li key=${i}><${Icon} name="warn" /><div><strong>${alert.kind}</strong> ${alert.text}<span class="faint"> ${ago(alert.at)}</span></div></li>`)}</ol>`}<//><//>`;
}

function Changes({ of }) {
  return html`<${Panel} title=${words.changes} id="changes" action=${html`<${Link} view="audit" class="button quiet">${t.all}<//>`}><${Loaded} of=${of} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} quiet title=${words.noChanges} />`}>${(data) => html`
    <ol class="rows">${data.items.map((entry, i) => html`<li key=${i}><div><strong>${entry.what}</strong> ${entry.subject}${entry.why && ': ' + entry.why}<span class="faint"> ${entry.actor}, <span title=${instant(entry.at)}>${ago(entry.at)}</span></span></div></li>`)}</ol>`}<//><//>`;
}
