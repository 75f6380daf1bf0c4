// Projects: everybody who uses the gateway this month; one of them in full.
import { html, useMemo, useState } from '../preact.js';
import { query as q, useApi } from '../api.js';
import { CODES } from '../codes.js';
import { ago, count } from '../format.js';
import { compare, placesFor } from '../money.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Badge, Head, Link, Money, Panel, Prose } from '../ui/parts.js';
import { Empty, Loaded } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { BudgetBar, BudgetState } from './budgets.js';
import { SnippetBox } from './snippet-box.js';

const words = t.projects;

/** Projects are those that have used something or have a budget. */
function known(usage, budgets) {
  const projects = new Map();
  const at = (team, project) => {
    const name = team + '/' + project;
    if (!projects.has(name)) projects.set(name, { name, team, project, requests: 0, refusals: 0, input_tokens: 0, output_tokens: 0, cost: '0', budget: null });
    return projects.get(name);
  };
  for (const item of usage) if (item.team) Object.assign(at(item.team, item.project), item);
  for (const budget of budgets) if (budget.scope === 'project') at(budget.team, budget.project).budget = budget;
  return [...projects.values()].sort((a, b) => compare(b.cost, a.cost) || a.name.localeCompare(b.name));
}

export function Projects({ me, query }) {
  return query.project ? html`<${Project} key=${query.project} me=${me} name=${query.project} />` : html`<${All} me=${me} />`;
}

function All({ me }) {
  const usage = useApi('/usage' + q({ by: 'team,project', from: 'this-month' }));
  const budgets = useApi('/budgets?scope=project');
  const [find, setFind] = useState('');
  const all = useMemo(() => (usage.data ? known(usage.data.items, budgets.data ? budgets.data.items : []) : []), [usage.data, budgets.data]);
  const shown = all.filter((project) => project.name.toLowerCase().includes(find.toLowerCase()));
  const places = placesFor(all.map((project) => project.cost));
  const columns = [
    { key: 'name', title: t.fields.project, render: (project) => html`<${Link} view="projects" query=${{ project: project.name }} aria-label=${words.open(project.name)}><strong>${project.project}</strong><//><span class="sub">${project.team}</span>` },
    { key: 'requests', title: t.fields.requests, num: true, render: (project) => count(project.requests) },
    { key: 'refusals', title: t.fields.refusals, num: true, render: (project) => count(project.refusals) },
    { key: 'tokens', title: t.fields.tokens, num: true, render: (project) => count(project.input_tokens + project.output_tokens) },
    { key: 'cost', title: t.fields.cost, num: true, render: (project) => html`<${Money} value=${project.cost} currency=${project.currency || me.gateway.currency} places=${places} />` },
    { key: 'budget', title: words.budget, className: 'grow', render: (project) => (project.budget ? html`<${BudgetBar} budget=${project.budget} /><span class="sub"><${Money} value=${project.budget.remaining} currency=${project.budget.currency} /></span>` : html`<span class="faint">${words.noBudget}</span>`) },
  ];
  return html`
    <${Head} title=${t.views.projects} lead=${words.lead}><label class="filter"><span class="sr">${words.search}</span><input type="search" value=${find} placeholder=${words.search} onInput=${(event) => setFind(event.currentTarget.value)} /></label><//>
    <${Panel} flush><${Loaded} of=${usage} rows=${6} isEmpty=${() => !shown.length} empty=${html`<${Empty} title=${words.empty} text=${words.emptyText} />`}>${() => html`<${Table} label=${t.views.projects} columns=${columns} rows=${shown} rowKey=${(project) => project.name} onOpen=${(project) => refine({ project: project.name })} />`}<//><//>`;
}

/** The budgets that bind a project: its team's, its own, those of its keys. */
export function useBudgetsOf({ team, project }) {
  const budgets = useApi('/budgets' + q({ team }), { every: 15000 });
  const own = budgets.data ? budgets.data.items.filter((budget) => budget.scope === 'team' || budget.project === project) : [];
  return [budgets, own];
}

/** The models that a project may call. */
export function useModelsOf({ team, project }) {
  const projects = useApi('/projects' + q({ team, find: team + '/' + project }));
  const found = projects.data && projects.data.items.find((item) => item.team === team && item.project === project);
  return found ? found.models : [];
}

function Project({ me, name }) {
  const [team, project] = name.split('/');
  const asked = { team, project };
  const [, own] = useBudgetsOf(asked);
  const names = useModelsOf(asked);
  const models = useApi('/usage' + q({ by: 'model', from: 'this-month', ...asked }));
  const keys = useApi('/usage' + q({ by: 'key', from: 'this-month', ...asked }));
  return html`
    <${Head} title=${name} lead=${words.lead}>${me.permissions.includes('manage_keys') && html`<${Link} view="keys" query=${{ create: name }} class="button">${t.keys.create}<//>`}<${Link} view="projects" class="button">${words.back}<//><${Link} view="requests" query=${asked} class="button">${words.seeRequests}<//><//>
    <${Panel} title=${words.limits} id="limits">${own.length ? html`<${BudgetList} budgets=${own} />` : html`<p class="faint">${words.noBudget}</p>`}<//>
    <div class="columns">
      <${Panel} title=${words.models} flush id="models"><${Loaded} of=${models} isEmpty=${(data) => !data.items.length}>${(data) => html`<${UsageTable} label=${words.models} by="model" items=${used(data.items)} />`}<//><//>
      <${Panel} title=${words.keys} flush id="keys"><${Loaded} of=${keys} isEmpty=${(data) => !data.items.length}>${(data) => html`<${UsageTable} label=${words.keys} by="key" items=${data.items} />`}<//><//>
    </div>
    <${Panel} title=${words.errors} flush id="errors"><${Failures} asked=${asked} from="-24h" none=${words.noErrors} /><//>
    <${Panel} title=${words.snippets} id="snippets"><${SnippetBox} gateway=${me.gateway} models=${names} /><//>`;
}

/** What was answered at least once, the most asked first: a model that was only refused is none to offer. */
export const used = (items) => items.filter((item) => item.requests > 0).sort((a, b) => b.requests - a.requests);

export const BudgetList = ({ budgets }) => html`<ul class="rows">${budgets.map((budget) => html`
  <li key=${budget.scope + budget.key}><div class="grow"><strong>${t.fields[budget.scope]}</strong> <${BudgetState} budget=${budget} /> <span class="faint">${t.budgets.modes[budget.mode]}${budget.period_end ? ', ' + t.mine.resets(ago(budget.period_end)) : ''}</span><${BudgetBar} budget=${budget} /></div>
  <div class="right"><${Money} value=${budget.remaining} currency=${budget.currency} /><span class="sub">${t.budgets.left.toLowerCase()} ${t.budgets.amount.toLowerCase()} <${Money} value=${budget.amount} /></span></div></li>`)}</ul>`;

export function UsageTable({ label, by, items }) {
  const places = placesFor(items.map((item) => item.cost));
  const columns = [
    { key: by, title: t.fields[by], className: 'clip', render: (item) => html`<span title=${item[by]}>${item[by] || t.unattributed}</span>` },
    { key: 'requests', title: t.fields.requests, num: true, render: (item) => count(item.requests) },
    { key: 'tokens', title: t.fields.tokens, num: true, render: (item) => count(item.input_tokens + item.output_tokens) },
    { key: 'cost', title: t.fields.cost, num: true, render: (item) => html`<${Money} value=${item.cost} currency=${item.currency} places=${places} />` },
  ];
  const sorted = [...items].sort((a, b) => compare(b.cost, a.cost));
  return html`<${Table} label=${label} columns=${columns} rows=${sorted} rowKey=${(item) => item[by] + item.currency} />`;
}

/** What went wrong, by code, the latest first. */
export function Failures({ asked, from, none }) {
  const refused = useApi('/requests' + q({ ...asked, kind: 'refusal', from, limit: 200 }));
  const failed = useApi('/requests' + q({ ...asked, end: 'upstream_failed', from, limit: 200 }));
  const rows = [...(refused.data ? refused.data.items : []), ...(failed.data ? failed.data.items : [])];
  const groups = new Map();
  for (const row of rows) {
    const code = row.error_code || row.end;
    const group = groups.get(code) || { code, kind: row.kind, count: 0, latest: row };
    group.count += 1;
    if (row.started_at > group.latest.started_at) group.latest = row;
    groups.set(code, group);
  }
  const list = [...groups.values()].sort((a, b) => (a.latest.started_at < b.latest.started_at ? 1 : -1));
  const columns = [
    { key: 'code', title: t.fields.error_code, render: (group) => html`<${Badge} tone="bad">${group.code}<//>` },
    { key: 'means', title: t.requests.explain, className: 'grow', render: (group) => (CODES[group.code] ? html`<${Prose} text=${CODES[group.code].meaning} /><span class="sub"><${Prose} text=${CODES[group.code].remedy} /></span>` : '') },
    { key: 'count', title: t.fields.requests, num: true, render: (group) => html`<${Link} view="requests" query=${{ ...asked, kind: group.kind, error_code: group.latest.error_code, range: '7d' }}>${t.mine.times(count(group.count))}<//>` },
    { key: 'latest', title: t.mine.last, num: true, render: (group) => html`<${Link} view="requests" query=${{ id: group.latest.id }}>${ago(group.latest.started_at)}<//>` },
  ];
  return html`<${Loaded} of=${refused} rows=${3} isEmpty=${() => !list.length && failed.status !== 'loading'} empty=${html`<${Empty} quiet title=${none} />`}>${() => html`<${Table} label=${t.fields.error_code} columns=${columns} rows=${list} rowKey=${(group) => group.code} />`}<//>`;
}
