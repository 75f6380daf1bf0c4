// The frame: who is signed in, which views there are, which one is shown.
import { html, useCallback, useEffect, useState } from './preact.js';
import { call, setProof, whenSignedOut } from './api.js';
import { setZone, zoneName } from './format.js';
import { follow, go, here, path, useRoute } from './route.js';
import { t } from './text.js';
import { applyTheme, theme } from './theme.js';
import { Icon, Select, Toasts } from './ui/parts.js';
import { Empty, Failed, Skeleton } from './ui/states.js';
import { Audit } from './views/audit.js';
import { Budgets } from './views/budgets.js';
import { Config } from './views/config.js';
import { Costs } from './views/costs.js';
import { Keys } from './views/keys.js';
import { MyProject } from './views/my-project.js';
import { Overview } from './views/overview.js';
import { Projects } from './views/projects.js';
import { Regions } from './views/regions.js';
import { Requests } from './views/requests.js';
import { SignIn } from './views/sign-in.js';

const VIEWS = {
  overview: [Overview, 'read_fleet'], requests: [Requests, 'read_spend'], regions: [Regions, 'read_fleet'], costs: [Costs, 'read_spend'],
  budgets: [Budgets, 'read_spend'], projects: [Projects, 'read_spend'], keys: [Keys, 'read_keys'], 'my-project': [MyProject, 'read_spend'],
  config: [Config, 'read_config'], audit: [Audit, 'read_audit'],
};
const GROUPS = [['watch', ['overview', 'requests', 'regions']], ['spend', ['costs', 'budgets']], ['access', ['projects', 'keys', 'my-project']], ['system', ['config', 'audit']]];

/** The first view of somebody: finance lands on costs, an application's team on its project. */
const home = (me) => (me.scope ? 'my-project' : me.role === 'finance' ? 'costs' : 'overview');

export function App() {
  const [me, setMe] = useState({ status: 'loading' });
  const [ended, setEnded] = useState(false);
  const route = useRoute();

  const load = useCallback(async () => {
    try {
      const value = await call('/me');
      setProof(value.csrf);
      setZone(value.gateway.time_zone);
      setEnded(false);
      setMe({ status: 'ready', value });
      const { view, query } = here();
      if (view === '') go(home(value), query, { replace: true });
    } catch (problem) {
      setMe(problem.status === 401 ? { status: 'out' } : { status: 'error', problem });
    }
  }, []);

  useEffect(() => {
    whenSignedOut(() => setMe((former) => {
      if (former.status === 'ready') setEnded(true);
      return { status: 'out' };
    }));
    load();
  }, []);

  const afterSignIn = () => {
    if (here().view === 'sign-in') history.replaceState(null, '', '/');
    setMe({ status: 'loading' });
    load();
  };
  const signOut = async () => {
    await call('/session', { method: 'DELETE' }).catch(() => {});
    setProof(null);
    setEnded(false);
    setMe({ status: 'out' });
  };

  useEffect(() => {
    document.title = (t.views[me.status === 'out' ? 'sign-in' : route.view] || t.product) + ' · ' + t.product;
  }, [route.view, me.status]);

  if (me.status === 'loading') return html`<div class="center"><${Skeleton} rows=${3} /></div>`;
  if (me.status === 'error') return html`<div class="center"><${Failed} problem=${me.problem} again=${load} /></div>`;
  if (me.status === 'out' || route.view === 'sign-in') return html`<${SignIn} ended=${ended} onDone=${afterSignIn} />`;
  return html`<${Frame} me=${me.value} route=${route} onSignOut=${signOut} /><${Toasts} />`;
}

function Frame({ me, route, onSignOut }) {
  const [open, setOpen] = useState(false);
  const [View] = VIEWS[route.view] || [];
  useEffect(() => setOpen(false), [route]);
  return html`
    <a class="skip" href="#main">${t.skip}</a>
    <div class="frame">
      <header class="top">
        <button type="button" class="button icon-only menu" aria-label=${t.menu} aria-expanded=${open ? 'true' : 'false'} aria-controls="rail" onClick=${() => setOpen(!open)}><${Icon} name="menu" /></button>
        <span class="brand"><${Mark} />${t.product}</span>
        <span class="place" title=${me.gateway.instance}>${me.gateway.organization}</span>
        <${Find} />
        <${Account} me=${me} onSignOut=${onSignOut} />
      </header>
      <nav id="rail" class=${open ? 'rail open' : 'rail'} aria-label=${t.nav}>
        ${GROUPS.map(([group, views]) => html`<${Group} key=${group} title=${t.groups[group]} views=${views.filter((view) => me.permissions.includes(VIEWS[view][1]))} current=${route.view} />`)}
      </nav>
      <main id="main" tabindex="-1">
        ${View ? html`<${View} key=${route.view} me=${me} query=${route.query} />` : html`<${Empty} title=${t.problem.noView}><a class="button" href="/overview" onClick=${follow}>${t.problem.toOverview}</a><//>`}
      </main>
      <footer class="foot"><span>${t.footer(me.gateway)}</span><span>${t.zone(zoneName())}</span></footer>
    </div>`;
}

const Mark = () => html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" /><path d="M8 25V11m0 1 17-5" /><circle cx="8" cy="11" r="3" /><path class="bar" d="M14 25h11" /></svg>`;

const Group = ({ title, views, current }) => views.length > 0 && html`
  <div class="rail-group"><h2>${title}</h2><ul>
    ${views.map((view) => html`<li key=${view}><a href=${path(view)} aria-current=${view === current ? 'page' : undefined} onClick=${follow}><${Icon} name=${view} />${t.views[view]}</a></li>`)}
  </ul></div>`;

/** By id, from anywhere; `/` goes there. */
function Find() {
  const find = (event) => {
    event.preventDefault();
    const input = event.currentTarget.elements.id;
    const id = input.value.trim();
    if (!id) return;
    input.value = '';
    go('requests', { id });
  };
  useEffect(() => {
    const onKey = (event) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog')) return;
      event.preventDefault();
      document.getElementById('find').focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return html`<form class="find" role="search" onSubmit=${find}><${Icon} name="search" /><label class="sr" for="find">${t.search.label}</label><input id="find" name="id" type="search" autocomplete="off" placeholder=${t.search.hint} /><kbd aria-hidden="true">/</kbd></form>`;
}

function Account({ me, onSignOut }) {
  const [chosen, setChosen] = useState(theme());
  const choose = (value) => {
    setChosen(value);
    applyTheme(value);
  };
  return html`
    <details class="account">
      <summary title=${t.account}><span class="avatar" aria-hidden="true">${me.name.slice(0, 1).toUpperCase()}</span><span class="who">${me.name}</span></summary>
      <div class="account-menu">
        <p><strong>${me.name}</strong><br /><span class="faint">${t.role(me.role)}</span>${me.scope && html`<br /><span class="faint">${t.narrowed(me.scope.teams)}</span>`}</p>
        <${Select} label=${t.theme.label} value=${chosen} options=${['system', 'light', 'dark'].map((key) => [key, t.theme[key]])} onChange=${choose} />
        ${me.session && html`<button type="button" class="button" onClick=${onSignOut}><${Icon} name="out" />${t.signOut}</button>`}
      </div>
    </details>`;
}
