// Costs: where the money goes, by day and by whom, and a file of exactly what is shown.
import { html, useMemo, useState } from '../preact.js';
import { query as q, useApi } from '../api.js';
import { count, shortDay, tenths } from '../format.js';
import { amount, compare, drawn, isZero, minus, permille, picos, placesFor, rounded, sum } from '../money.js';
import { here, refine } from '../route.js';
import { t } from '../text.js';
import { Figure, Legend, Stack } from '../ui/charts.js';
import { Head, Icon, Link, Money, Panel, Select, Tile } from '../ui/parts.js';
import { Range, hoursAgo, period } from '../ui/range.js';
import { Empty, Loaded, Partial } from '../ui/states.js';
import { Table, csv, download } from '../ui/table.js';
import { BudgetState } from './budgets.js';
import { Months } from './months.js';

const words = t.costs;
const DIMENSIONS = ['team', 'project', 'model', 'region', 'upstream', 'key', 'zone', 'end_user'];
const RANGES = ['24h', '7d', '30d', 'month', 'last'];
const SERIES = 7;
const known = (name, usual) => (DIMENSIONS.includes(name) ? name : usual);
const options = DIMENSIONS.map((name) => [name, t.fields[name]]);
const named = (value) => value || t.unattributed;

export function Costs({ me, query }) {
  const by = known(query.by, 'team');
  const rows = known(query.rows, by);
  const then = query.then && query.then !== rows ? known(query.then, '') : '';
  const asked = { ...period(query, 'month'), team: query.team, project: query.project };
  const dimensions = [rows, then].filter(Boolean);
  const byDay = useApi('/usage' + q({ by: 'day,' + by, ...asked }));
  const table = useApi('/usage' + q({ by: dimensions.join(','), ...asked }));
  const former = comparison(query);
  const before = useApi(former && '/usage' + q({ by: dimensions.join(','), ...asked, from: former.from, to: former.to }));
  const others = table.data && table.data.total.other_costs;

  return html`
    <${Head} title=${t.views.costs} lead=${words.lead}>
      <${Select} label=${words.by} value=${by} options=${options} onChange=${(value) => refine({ by: value === 'team' ? null : value })} />
      <${Range} query=${query} usual="month" ranges=${RANGES} />
    <//>
    ${(query.team || query.project) && html`<p class="chips">${['team', 'project'].map((name) => query[name] && html`<button key=${name} type="button" class="chip" onClick=${() => refine({ [name]: null })}>${t.fields[name]}: ${query[name]}<span aria-hidden="true"> ×</span><span class="sr"> ${t.requests.clear}</span></button>`)}</p>`}
    ${others && html`<${Partial} what=${words.otherCurrencies + ': ' + others.map((other) => other.cost + ' ' + other.currency).join(', ')} />`}
    <${Loaded} of=${table} rows=${2}>${(data) => html`<${Tiles} total=${data.total} former=${former} before=${before.data} />`}<//>
    <${Panel} title=${words.chart} id="by-day"><${Loaded} of=${byDay} rows=${6} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} title=${words.empty} text=${words.emptyText} />`}>${(data) => html`<${ByDay} items=${data.items} by=${by} currency=${data.total.currency} />`}<//><//>
    <${Pivot} of=${table} before=${before.data} former=${former} rows=${rows} then=${then} query=${query} asked=${asked} me=${me} />
    ${me.permissions.includes('read_statements') && html`<${Months} me=${me} />`}`;
}

function Tiles({ total, former, before }) {
  const budgets = useApi('/budgets?scope=team');
  const places = placesFor([total.cost]);
  const forecasts = budgets.data ? budgets.data.items.filter((budget) => budget.forecast != null && budget.period === 'month') : [];
  const change = before && permille(minus(total.cost, before.total.cost), before.total.cost);
  return html`<dl class="tiles">
    <${Tile} label=${words.spent} value=${html`<${Money} value=${total.cost} currency=${total.currency} places=${places} />`} note=${total.unpriced_requests ? words.unpriced(count(total.unpriced_requests)) : count(total.requests) + ' ' + words.requests.toLowerCase()} />
    ${before && html`<${Tile} label=${former.name} value=${html`<${Money} value=${before.total.cost} currency=${total.currency} places=${placesFor([before.total.cost])} />`} note=${change == null ? t.none : (change > 0 ? '+' : '') + tenths(change)} />`}
    <${Tile} label=${words.requests} value=${count(total.requests)} note=${count(total.refusals) + ' ' + t.fields.refusals.toLowerCase()} />
    <${Tile} label=${words.forecast} value=${forecasts.length ? html`<${Money} value=${sum(forecasts.map((budget) => budget.forecast))} currency=${total.currency} />` : t.none} note=${forecasts.length ? words.forecastNote(teams(forecasts), rounded(sum(forecasts.map((budget) => budget.forecast_p90)), 2)) : words.noForecast} />
  </dl>`;
}

/** So many teams are named; of more, how many there are. */
const teams = (budgets) => (budgets.length <= 4 ? budgets.map((budget) => budget.team).join(', ') : words.teams(count(budgets.length)));

const DAY = 86400000;
const dayOf = (time) => new Date(time).toISOString().slice(0, 10);
/** The day after, as the API writes days. */
const next = (day) => dayOf(Date.parse(day) + DAY);

/** What a period is held against: the time of the same length before it; of this month, the same days of the last one. */
function comparison(query) {
  const { range } = query;
  if (!range || range === 'month') return { from: 'last-month', to: sameTimeLastMonth(), name: words.versus };
  const hours = { '24h': 24, '7d': 168, '30d': 720 }[range];
  if (hours) return { from: hoursAgo(2 * hours), to: hoursAgo(hours), name: words.versusBefore };
  if (range !== 'custom' || !query.from || !query.to) return null;
  const length = Date.parse(query.to) - Date.parse(query.from);
  if (!(length > 0)) return null;
  return { from: dayOf(Date.parse(query.from) - length), to: query.from, name: length === DAY ? words.versusDay : words.versusBefore };
}

/** To the minute: a link that is drawn again asks nothing again. */
function sameTimeLastMonth() {
  const now = new Date();
  const last = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 0));
  const day = Math.min(now.getUTCDate(), last.getUTCDate());
  // Whole hours are summed already; this one has begun.
  return new Date(Date.UTC(last.getUTCFullYear(), last.getUTCMonth(), day, now.getUTCHours() + 1)).toISOString();
}

/** From the first day to the last one, those without a cost too. */
function everyDay(known) {
  const days = [...new Set(known)].sort();
  if (days.length < 2) return days;
  const all = [];
  for (let at = Date.parse(days[0]); at <= Date.parse(days[days.length - 1]) && all.length < 1000; at += 86400000) all.push(new Date(at).toISOString().slice(0, 10));
  return all;
}

const oneDay = (day) => ({ range: 'custom', from: day, to: next(day) });

/** The largest few have a colour of their own; the others are drawn together and stay apart in the table. */
function ByDay({ items, by, currency }) {
  const { days, series, bars } = useMemo(() => {
    const own = items.filter((item) => item.currency === currency);
    const totals = new Map();
    for (const item of own) totals.set(named(item[by]), (totals.get(named(item[by])) || 0n) + picos(item.cost));
    const largest = [...totals].sort((a, b) => (b[1] > a[1] ? 1 : b[1] < a[1] ? -1 : 0)).map(([name]) => name);
    const series = largest.length > SERIES + 1 ? [...largest.slice(0, SERIES), t.other] : largest;
    const place = new Map(largest.map((name, i) => [name, Math.min(i, series.length - 1)]));
    const days = everyDay(own.map((item) => item.day));
    const sums = new Map(days.map((day) => [day, series.map(() => 0n)]));
    for (const item of own) sums.get(item.day)[place.get(named(item[by]))] += picos(item.cost);
    const bars = days.map((day) => {
      const parts = sums.get(day).map(amount);
      const title = [day + ': ' + sum(parts) + ' ' + currency, ...parts.map((part, i) => series[i] + ' ' + part).filter((_, i) => !isZero(parts[i]))].join('\n');
      return { key: day, label: shortDay(day), parts: parts.map(drawn), exact: parts, title };
    });
    return { days, series, bars };
  }, [items, by, currency]);
  const places = placesFor(bars.flatMap((bar) => bar.exact));
  const columns = [
    { key: 'day', title: t.fields.day, render: (bar) => html`<${Link} view="costs" query=${{ ...here().query, ...oneDay(bar.key) }} aria-label=${words.openDay(bar.key)}>${bar.key}<//>` },
    ...series.map((name, i) => ({ key: name, title: name, num: true, render: (bar) => html`<${Money} value=${bar.exact[i]} places=${places} />` })),
    { key: 'total', title: t.total, num: true, render: (bar) => html`<strong><${Money} value=${sum(bar.exact)} places=${places} /></strong>` },
  ];
  return html`<${Figure} label=${words.chart} legend=${html`<${Legend} series=${series} />`} chart=${html`<${Stack} label=${words.chart + ', ' + days.length} bars=${bars} series=${series} unit=${currency} height=${240} onPick=${(bar) => refine(oneDay(bar.key))} />`} table=${html`<${Table} label=${words.chart} columns=${columns} rows=${bars} rowKey=${(bar) => bar.key} />`} />`;
}

/** The rows with what each cost before; one that costs nothing now is a row too. */
function compared(items, before, dimensions) {
  if (!before) return items;
  const key = (item) => JSON.stringify([item.currency, ...dimensions.map((name) => item[name])]);
  const costs = new Map(before.items.map((item) => [key(item), item]));
  const list = items.map((item) => {
    const former = costs.get(key(item));
    costs.delete(key(item));
    const cost = former ? former.cost : '0';
    return { ...item, before: cost, change: minus(item.cost, cost) };
  });
  const nothing = { requests: 0, refusals: 0, input_tokens: 0, cached_input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, unpriced_requests: 0, cost: '0' };
  const gone = [...costs.values()].filter((item) => !isZero(item.cost));
  return [...list, ...gone.map((item) => ({ ...item, ...nothing, before: item.cost, change: minus('0', item.cost) }))];
}

/** Input, what of it was cached, and output; in one column where others need the room. */
function tokens(inOne) {
  const both = (item) => html`${count(item.input_tokens)}<span class="faint"> → </span>${count(item.output_tokens)}<span class="sub">${count(item.cached_input_tokens)} ${t.fields.cached}</span>`;
  if (inOne) return [{ key: 'input_tokens', title: t.fields.tokens, minor: true, num: true, sort: true, render: both, foot: both }];
  return [['input_tokens', t.fields.input], ['cached_input_tokens', t.fields.cached], ['output_tokens', t.fields.output]].map(([key, title]) => ({ key, title, minor: true, num: true, sort: true, render: (item) => count(item[key]), foot: (total) => count(total[key]) }));
}

const AMOUNTS = ['cost', 'share', 'before', 'change'];

/** Month's budgets of the rows, where they have some that can be asked for by name. */
function useBudgets(rows, then, query) {
  const isMonth = !query.range || query.range === 'month';
  const isAsked = isMonth && !then && (rows === 'team' || (rows === 'project' && query.team));
  const budgets = useApi(isAsked ? '/budgets' + q({ scope: rows, team: query.team }) : null);
  if (!isAsked || !budgets.data) return null;
  return new Map(budgets.data.items.filter((budget) => budget.period === 'month').map((budget) => [budget[rows], budget]));
}

function Pivot({ of, before, former, rows, then, query, asked, me }) {
  const [sorted, setSorted] = useState({ key: 'cost', down: true });
  const dimensions = [rows, then].filter(Boolean);
  const budgets = useBudgets(rows, then, query);
  const total = of.data && of.data.total;
  const items = useMemo(() => {
    const list = of.data ? compared(of.data.items, before, dimensions) : [];
    const value = (item) => (sorted.key === 'share' ? item.cost : item[sorted.key]);
    const order = (a, b) => (AMOUNTS.includes(sorted.key) ? compare(value(a) || '0', value(b) || '0') : typeof value(a) === 'number' ? value(a) - value(b) : String(value(a)).localeCompare(String(value(b))));
    return list.sort((a, b) => (sorted.down ? order(b, a) : order(a, b)));
  }, [of.data, before, sorted]);
  const places = useMemo(() => placesFor(items.map((item) => item.cost)), [items]);
  const onSort = (key) => setSorted({ key, down: sorted.key === key ? !sorted.down : !dimensions.includes(key) });
  const drill = (item, name) => (name === 'team' || name === 'project' ? html`<${Link} view="costs" query=${{ ...query, [name]: item[name], rows: name === 'team' ? 'project' : 'model', by: name === 'team' ? 'project' : 'model', then: null }}>${named(item[name])}<//>` : named(item[name]));
  const unit = (item) => (item.currency === total.currency ? '' : item.currency);
  const columns = [
    ...dimensions.map((name, i) => ({ key: name, title: t.fields[name], sort: true, render: (item) => drill(item, name), foot: () => (i ? '' : html`<strong>${t.total}</strong>`) })),
    { key: 'requests', title: t.fields.requests, num: true, sort: true, render: (item) => count(item.requests), foot: (total) => count(total.requests) },
    ...tokens(before != null),
    { key: 'share', title: t.fields.share, num: true, sort: true, render: (item) => html`<${Share} permille=${item.currency === total.currency ? permille(item.cost, total.cost) : null} />` },
    { key: 'cost', title: t.fields.cost, num: true, sort: true, render: (item) => html`<${Money} value=${item.cost} currency=${unit(item)} places=${places} />`, foot: (total) => html`<strong><${Money} value=${total.cost} currency=${total.currency} places=${places} /></strong>` },
  ];
  if (before) {
    columns.push({ key: 'before', title: former.name, num: true, sort: true, render: (item) => html`<${Money} value=${item.before} places=${places} />`, foot: () => html`<${Money} value=${before.total.cost} places=${places} />` });
    columns.push({ key: 'change', title: words.change, num: true, sort: true, render: (item) => html`<${Change} item=${item} places=${places} />`, foot: (total) => html`<${Change} item=${{ change: minus(total.cost, before.total.cost), before: before.total.cost }} places=${places} />` });
  }
  if (budgets) {
    columns.push({ key: 'left', title: words.budgetLeft, num: true, render: (item) => html`<${BudgetLeft} budget=${budgets.get(item[rows])} />` });
    columns.push({ key: 'ahead', title: words.ahead, num: true, render: (item) => html`<${Ahead} budget=${budgets.get(item[rows])} />` });
  }
  columns.push({ key: 'perRequest', title: t.fields.perRequest, num: true, minor: true, render: (item) => html`<${Money} value=${item.requests ? amount(picos(item.cost) / BigInt(item.requests)) : null} places=${6} />` });
  const exportShown = () => {
    const plain = [...dimensions, 'requests', 'refusals', 'input_tokens', 'cached_input_tokens', 'output_tokens', 'reasoning_tokens', 'unpriced_requests', 'cost', 'currency'];
    const shown = before ? [...plain, 'before', 'change'] : plain;
    const line = (item) => shown.map((key) => item[key] ?? '');
    const last = before ? { before: before.total.cost, change: minus(total.cost, before.total.cost) } : {};
    download(`tollgate-costs-${dimensions.join('-')}.csv`, csv(shown, [...items.map(line), line({ ...total, ...last, [rows]: t.total })]));
  };
  const select = (name, value, others) => html`<${Select} label=${name} value=${value} options=${others} onChange=${(value) => refine(name === words.rows ? { rows: value } : { then: value || null })} />`;
  const action = html`<div class="view-tools">${select(words.rows, rows, options)}${select(words.then, then, [['', words.nothing], ...options])}
    <button type="button" class="button" disabled=${!items.length} onClick=${exportShown}><${Icon} name="down" />${words.exportShown}</button></div>`;
  return html`<${Panel} title=${words.table} action=${action} flush id="pivot">
    <${Loaded} of=${of} rows=${6} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} title=${words.empty} text=${words.emptyText} />`}>${() => html`
      <${Table} label=${words.table} columns=${columns} rows=${items} foot=${total} sorted=${sorted} onSort=${onSort} />`}<//>
    ${me.permissions.includes('export') && html`<div class="table-end"><span class="faint">${words.exports}</span>${[['csv', words.ledgerCsv], ['xlsx', words.xlsx], ['focus', words.focus], ['parquet', words.parquet]].map(([form, name]) => html`<a key=${form} class="button quiet" href=${'/api/v1/export/' + form + q({ from: asked.from, to: asked.to || 'now' })} download>${name}</a>`)}</div>`}
  <//>`;
}

const Share = ({ permille }) => (permille == null ? html`<span class="faint">${t.none}</span>` : html`<span class="share"><i style=${{ width: Math.min(100, permille / 10) + '%' }}></i><span>${tenths(permille)}</span></span>`);

/** More or less than before; the share of it where there was something before. */
function Change({ item, places }) {
  if (item.change == null) return html`<span class="faint">${t.none}</span>`;
  const part = permille(item.change, item.before);
  const sign = isZero(item.change) || item.change.startsWith('-') ? '' : '+';
  return html`<span class="num" title=${t.exact(sign + item.change)}>${sign}${rounded(item.change, places)}</span>${part != null && html`<span class="sub">${sign}${tenths(part)}</span>`}`;
}

const BudgetLeft = ({ budget }) => (budget ? html`<${Money} value=${budget.remaining} /><span class="sub"><${BudgetState} budget=${budget} /></span>` : html`<span class="faint">${t.none}</span>`);

const Ahead = ({ budget }) => (budget && budget.forecast != null ? html`<${Money} value=${budget.forecast} /><span class="sub">${words.upTo} <${Money} value=${budget.forecast_p90} /></span>` : html`<span class="faint">${t.none}</span>`);
