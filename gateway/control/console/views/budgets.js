// Budgets: what may be spent, has been, and will be; and a raise for a time.
import { html, useState } from '../preact.js';
import { call, query as q, useApi } from '../api.js';
import { ago, count, day, instant, shortDay } from '../format.js';
import { drawn, minus, permille, rounded } from '../money.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { BurnDown, Figure } from '../ui/charts.js';
import { Badge, Dialog, Field, Finder, Head, Money, Panel, toast } from '../ui/parts.js';
import { Empty, Loaded, Note } from '../ui/states.js';
import { Table } from '../ui/table.js';

const words = t.budgets;
const TONES = { ok: 'ok', alert: 'warn', exceeded: 'bad' };

export const nameOf = (budget) => [budget.team, budget.project, budget.key].filter(Boolean).join('/');
const idOf = (budget) => budget.scope + ':' + nameOf(budget);

export const BudgetState = ({ budget }) => html`<${Badge} tone=${TONES[budget.state]}>${words.states[budget.state]}<//>`;

/** Spent and reserved of the amount, with a mark where it is expected to end. */
export function BudgetBar({ budget }) {
  const of = (text) => Math.max(0, Math.min(1000, permille(text, budget.amount) ?? 0)) / 10 + '%';
  return html`<div class=${'meter ' + TONES[budget.state]} title=${budget.spent + ' / ' + budget.amount + ' ' + budget.currency}>
    <i class="reserved" style=${{ left: of(budget.spent), width: of(budget.reserved) }}></i><i class="before" style=${{ width: of(budget.spent) }}></i>
    ${budget.forecast != null && html`<i class="mark" style=${{ left: of(budget.forecast) }}></i>`}</div>`;
}

/** So many budgets are asked for at first, and more each time; the API gives no more than a thousand. */
const PAGE = 100;
const MOST = 1000;

/** The budget that the address names, whether it is among those that are shown or not. */
function useChosen(id, items) {
  const [scope, name] = (id || '').split(/:(.*)/);
  const known = id ? items.find((budget) => idOf(budget) === id) : items[0];
  const own = useApi(id && !known ? '/budgets' + q({ scope, find: name, limit: PAGE }) : null);
  return known || (own.data && own.data.items.find((budget) => idOf(budget) === id)) || items[0];
}

export function Budgets({ me, query }) {
  const [most, setMost] = useState(PAGE);
  const budgets = useApi('/budgets' + q({ order: 'tightest', find: query.find, limit: most }), { every: 10000, keeps: true });
  const [raise, setRaise] = useState(null);
  const items = budgets.data ? budgets.data.items : [];
  const chosen = useChosen(query.budget, items);
  const mayRaise = me.permissions.includes('raise_budgets');
  const money = (key) => (budget) => html`<${Money} value=${budget[key]} />`;
  const columns = [
    { key: 'name', title: words.scope, render: (budget) => html`<button type="button" class="link" aria-label=${words.select(nameOf(budget))} aria-pressed=${budget === chosen ? 'true' : 'false'} onClick=${() => refine({ budget: idOf(budget) })}>${nameOf(budget)}</button><span class="sub">${t.fields[budget.scope].toLowerCase()}, ${(words.modes[budget.mode] || budget.mode).toLowerCase()}</span>` },
    { key: 'state', title: t.fields.state, render: (budget) => html`<${BudgetState} budget=${budget} />` },
    { key: 'bar', title: words.used, className: 'grow', render: (budget) => html`<${BudgetBar} budget=${budget} />` },
    { key: 'spent', title: words.spent, num: true, render: money('spent') },
    { key: 'reserved', title: words.reserved, num: true, render: money('reserved') },
    { key: 'left', title: words.left, num: true, render: money('remaining') },
    { key: 'amount', title: words.amount, num: true, render: (budget) => html`<${Money} value=${budget.amount} currency=${budget.currency} />` },
    { key: 'forecast', title: words.forecast, num: true, render: money('forecast') },
    { key: 'period', title: words.period, render: (budget) => html`${words.periods[budget.period]}${budget.period_end && html`<span class="sub" title=${instant(budget.period_end)}>${words.endsIn(ago(budget.period_end))}</span>`}` },
  ];
  if (mayRaise) columns.push({ key: 'act', title: '', render: (budget) => html`<button type="button" class="button" aria-label=${words.raiseTitle(nameOf(budget))} onClick=${() => setRaise(budget)}>${words.raise}</button>` });
  return html`
    <${Head} title=${t.views.budgets} lead=${words.lead}><${Finder} label=${t.projects.search} value=${query.find} onFind=${(find) => refine({ find: find || null }, { replace: true })} /><//>
    <${Panel} flush><${Loaded} of=${budgets} rows=${6} isEmpty=${() => !items.length} empty=${html`<${Empty} title=${query.find ? words.noneFits : words.empty} text=${query.find ? '' : words.emptyText} />`}>${() => html`
      <${Table} label=${t.views.budgets} columns=${columns} rows=${items} rowKey=${idOf} selected=${(budget) => budget === chosen} onOpen=${(budget) => refine({ budget: idOf(budget) })} />
      ${budgets.data.count > items.length && html`<div class="table-end"><span class="faint">${t.drawn(count(items.length), count(budgets.data.count))}</span>${most < MOST && html`<button type="button" class="button" onClick=${() => setMost(Math.min(MOST, most + PAGE * 2))}>${t.more}</button>`}</div>`}`}<//><//>
    ${chosen && html`<${Burn} key=${idOf(chosen)} budget=${chosen} />`}
    ${raise && html`<${RaiseDialog} budget=${raise} onClose=${() => setRaise(null)} onDone=${() => { setRaise(null); budgets.again(); }} />`}`;
}

const DAY = 86400000;

/** Days of a period, at most a quarter's; a budget in total has no end to draw. */
function daysOf(budget) {
  const start = Date.parse(budget.period_start);
  const end = budget.period_end ? Date.parse(budget.period_end) : Date.now() + DAY;
  const first = budget.period_end ? start : Math.max(start, end - 31 * DAY);
  const days = [];
  // Noon, so that a change of the clock skips no day.
  for (let at = first + DAY / 2; at < end && days.length < 100; at += DAY) days.push(day(at));
  return days;
}

function Burn({ budget }) {
  const days = daysOf(budget);
  const asked = { by: 'day', from: budget.period_end ? budget.period_start : days[0], team: budget.team, project: budget.project, key: budget.key };
  const usage = useApi('/usage' + q(asked));
  return html`<${Panel} title=${words.burn + ': ' + nameOf(budget)} note=${budget.raise ? words.raised(budget.raise.amount + ' ' + budget.currency, instant(budget.raise.until)) : budget.forecast_method && words.method(budget.forecast_method)} id="burn">
    <${Loaded} of=${usage} rows=${6}>${(data) => html`<${BurnChart} budget=${budget} days=${days} items=${data.items.filter((item) => item.currency === budget.currency)} />`}<//><//>`;
}

function BurnChart({ budget, days, items }) {
  const spent = new Map(items.map((item) => [item.day, item.cost]));
  const today = day(Date.now());
  const rows = [];
  let left = budget.amount;
  for (const name of days.filter((name) => name <= today)) {
    left = minus(left, spent.get(name) || '0');
    rows.push({ day: name, cost: spent.get(name) || '0', left });
  }
  const expected = (text) => (text == null ? null : drawn(minus(budget.amount, text)));
  const columns = [
    { key: 'day', title: t.fields.day, render: (row) => row.day },
    { key: 'cost', title: words.spent, num: true, render: (row) => html`<${Money} value=${row.cost} places=${6} />` },
    { key: 'left', title: words.left, num: true, render: (row) => html`<${Money} value=${row.left} places=${6} />` },
  ];
  const legend = html`<ul class="legend lines"><li><i class="actual"></i>${words.actual}</li><li><i class="ideal"></i>${words.ideal}</li>${budget.forecast != null && html`<li><i class="ahead"></i>${words.ahead} ${rounded(budget.forecast, 2)} ${budget.currency}</li><li><i class="band"></i>${words.high} ${rounded(budget.forecast_p90, 2)}</li>`}</ul>`;
  return html`<${Figure} label=${words.burn} legend=${legend} table=${html`<${Table} label=${words.burn} columns=${columns} rows=${rows} />`}
    chart=${html`<${BurnDown} label=${words.burn + ' ' + nameOf(budget)} days=${days.map(shortDay)} left=${rows.map((row) => drawn(row.left))} total=${drawn(budget.amount)} expected=${expected(budget.forecast)} high=${expected(budget.forecast_p90)} />`} />`;
}

function RaiseDialog({ budget, onClose, onDone }) {
  const [order, setOrder] = useState({ amount: '', for: '24h', reason: '' });
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => setOrder({ ...order, [name]: event.currentTarget.value });
  const address = `/budgets/${budget.scope}/${[budget.team, budget.project, budget.key].filter(Boolean).map(encodeURIComponent).join('/')}`;
  const send = async (way, body, said) => {
    try {
      await call(address + way, { method: 'POST', body });
      toast(said);
      onDone();
    } catch (problem) {
      setProblem(problem);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    send('/raise', order, words.done);
  };
  return html`<${Dialog} title=${words.raiseTitle(nameOf(budget))} onClose=${onClose}>
    <form class="form" onSubmit=${submit}>
      <${BudgetBar} budget=${budget} />
      <p class="small">${words.spent} ${budget.spent}, ${words.reserved.toLowerCase()} ${budget.reserved}, ${words.amount.toLowerCase()} ${budget.amount} ${budget.currency}</p>
      <${Field} label=${`${words.more} (${budget.currency})`}><input value=${order.amount} onInput=${set('amount')} inputmode="decimal" pattern="[0-9]+([.][0-9]{1,12})?" required /><//>
      <${Field} label=${words.lasts} hint=${t.regions.lastsHint}><input value=${order.for} onInput=${set('for')} required /><//>
      <${Field} label=${words.reason}><input value=${order.reason} onInput=${set('reason')} required maxlength="200" /><//>
      ${problem && html`<${Note} tone="bad" icon="bad">${problem.message}<//>`}
      <div class="form-end">${budget.raise && html`<button type="button" class="button" onClick=${() => send('/lower', { reason: order.reason || words.lower }, words.lowered)}>${words.lower}</button>`}<span class="spring"></span><button type="button" class="button" onClick=${onClose}>${t.cancel}</button><button type="submit" class="button primary">${words.raise}</button></div>
    </form><//>`;
}
