// My project: what is left, what was used, what went wrong. For those who build with the gateway.
import { html } from '../preact.js';
import { query as q, useApi } from '../api.js';
import { shortDay } from '../format.js';
import { drawn, placesFor } from '../money.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Figure, Legend, Stack } from '../ui/charts.js';
import { Head, Money, Panel, Select } from '../ui/parts.js';
import { Empty, Loaded } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { BudgetList, Failures, UsageTable, used } from './projects.js';
import { SnippetBox } from './snippet-box.js';

const words = t.mine;

export function MyProject({ me, query }) {
  const spent = useApi('/usage' + q({ by: 'team,project', from: '-30d' }));
  const budgets = useApi('/budgets', { every: 15000 });
  const names = new Set();
  if (spent.data) for (const item of spent.data.items) if (item.team) names.add(item.team + '/' + item.project);
  if (budgets.data) for (const budget of budgets.data.items) if (budget.scope === 'project') names.add(budget.team + '/' + budget.project);
  const list = [...names].sort();
  const name = list.includes(query.project) ? query.project : list[0];
  return html`
    <${Head} title=${t.views['my-project']} lead=${words.lead}>${list.length > 1 && html`<${Select} label=${words.choose} value=${name} options=${list.map((name) => [name, name])} onChange=${(project) => refine({ project })} />`}<//>
    <${Loaded} of=${spent} rows=${4} isEmpty=${() => !name && budgets.status !== 'loading'} empty=${html`<${Panel}><${Empty} title=${words.empty} text=${words.emptyText} /><${SnippetBox} gateway=${me.gateway} models=${[]} /><//>`}>${() => name && html`<${Mine} key=${name} me=${me} name=${name} budgets=${budgets} />`}<//>`;
}

function Mine({ me, name, budgets }) {
  const [team, project] = name.split('/');
  const asked = { team, project };
  const days = useApi('/usage' + q({ by: 'day', from: '-7d', ...asked }));
  const models = useApi('/usage' + q({ by: 'model', from: '-7d', ...asked }));
  const own = budgets.data ? budgets.data.items.filter((budget) => budget.team === team && (budget.scope === 'team' || budget.project === project)) : [];
  return html`
    <${Panel} title=${words.budgets} id="budgets"><${Loaded} of=${budgets} isEmpty=${() => !own.length} empty=${html`<p class="faint">${t.projects.noBudget}</p>`}>${() => html`<${BudgetList} budgets=${own} />`}<//><//>
    <div class="columns">
      <${Panel} title=${words.usage} id="usage"><${Loaded} of=${days} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} title=${t.costs.empty} />`}>${(data) => html`<${Days} items=${data.items} currency=${data.total.currency} />`}<//><//>
      <${Panel} title=${words.models} flush id="models"><${Loaded} of=${models} isEmpty=${(data) => !used(data.items).length}>${(data) => html`<${UsageTable} label=${words.models} by="model" items=${used(data.items)} />`}<//><//>
    </div>
    <${Panel} title=${words.errors} flush id="errors"><${Failures} asked=${asked} from="-7d" none=${words.noErrors} /><//>
    <${Panel} title=${t.projects.snippets} id="snippets"><${SnippetBox} gateway=${me.gateway} models=${models.data ? used(models.data.items).map((item) => item.model) : []} /><//>`;
}

function Days({ items, currency }) {
  const own = items.filter((item) => item.currency === currency);
  const places = placesFor(own.map((item) => item.cost));
  const bars = own.map((item) => ({ key: item.day, label: shortDay(item.day), parts: [drawn(item.cost)], title: `${item.day}: ${item.cost} ${currency}` }));
  const columns = [
    { key: 'day', title: t.fields.day, render: (item) => item.day },
    { key: 'cost', title: t.fields.cost, num: true, render: (item) => html`<${Money} value=${item.cost} currency=${currency} places=${places} />` },
  ];
  return html`<${Figure} label=${words.usage} legend=${html`<${Legend} series=${[t.fields.cost]} />`} chart=${html`<${Stack} label=${words.usage} bars=${bars} series=${[t.fields.cost]} unit=${currency} height=${180} />`} table=${html`<${Table} label=${words.usage} columns=${columns} rows=${own} />`} />`;
}
