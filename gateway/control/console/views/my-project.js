// My project: what is left, what was used, what went wrong. For those who build with the gateway.
import { html, useState } from '../preact.js';
import { query as q, useApi } from '../api.js';
import { shortDay } from '../format.js';
import { drawn, placesFor } from '../money.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Figure, Legend, Stack } from '../ui/charts.js';
import { Finder, Head, Money, Panel, Select } from '../ui/parts.js';
import { hoursAgo } from '../ui/range.js';
import { Empty, Loaded } from '../ui/states.js';
import { Table } from '../ui/table.js';
import { BudgetList, Failures, UsageTable, used, useBudgetsOf, useModelsOf } from './projects.js';
import { SnippetBox } from './snippet-box.js';

const words = t.mine;

/** So many projects are offered; more are looked for by name. */
const OFFERED = 50;

export function MyProject({ me, query }) {
  const [find, setFind] = useState('');
  const projects = useApi('/projects' + q({ find, limit: OFFERED }), { keeps: true });
  const list = projects.data ? projects.data.items.map((item) => item.team + '/' + item.project) : [];
  const name = query.project || list[0];
  const isMany = find || (projects.data && projects.data.count > list.length);
  const offered = name && !list.includes(name) ? [name, ...list] : list;
  return html`
    <${Head} title=${t.views['my-project']} lead=${words.lead}>
      ${isMany && html`<${Finder} label=${t.projects.search} onFind=${setFind} />`}
      ${offered.length > 1 && html`<${Select} label=${words.choose} value=${name} options=${offered.map((name) => [name, name])} onChange=${(project) => refine({ project })} />`}<//>
    <${Loaded} of=${projects} rows=${4} isEmpty=${() => !name} empty=${html`<${Panel}><${Empty} title=${words.empty} text=${words.emptyText} /><${SnippetBox} gateway=${me.gateway} models=${[]} /><//>`}>${() => html`<${Mine} key=${name} me=${me} name=${name} />`}<//>`;
}

function Mine({ me, name }) {
  const [team, project] = name.split('/');
  const asked = { team, project };
  const [budgets, own] = useBudgetsOf(asked);
  const permitted = useModelsOf(asked);
  const from = hoursAgo(7 * 24);
  const days = useApi('/usage' + q({ by: 'day', from, ...asked }));
  const models = useApi('/usage' + q({ by: 'model', from, ...asked }));
  return html`
    <${Panel} title=${words.budgets} id="budgets"><${Loaded} of=${budgets} isEmpty=${() => !own.length} empty=${html`<p class="faint">${t.projects.noBudget}</p>`}>${() => html`<${BudgetList} budgets=${own} />`}<//><//>
    <div class="columns">
      <${Panel} title=${words.usage} id="usage"><${Loaded} of=${days} isEmpty=${(data) => !data.items.length} empty=${html`<${Empty} title=${t.costs.empty} />`}>${(data) => html`<${Days} items=${data.items} currency=${data.total.currency} />`}<//><//>
      <${Panel} title=${words.models} flush id="models"><${Loaded} of=${models} isEmpty=${(data) => !used(data.items).length}>${(data) => html`<${UsageTable} label=${words.models} by="model" items=${used(data.items)} />`}<//><//>
    </div>
    <${Panel} title=${words.errors} flush id="errors"><${Failures} asked=${asked} from="-7d" none=${words.noErrors} /><//>
    <${Panel} title=${t.projects.snippets} id="snippets"><${SnippetBox} gateway=${me.gateway} models=${permitted} /><//>`;
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
