// A snippet for the client that the reader chooses, filled with an address, a model and a key.
import { html, useState } from '../preact.js';
import { t } from '../text.js';
import { SNIPPETS } from './snippets.js';
import { Copy, Select } from '../ui/parts.js';
import { TrialBox } from './trial-box.js';

const KEPT = 'tollgate.base';
const words = t.keys;

/** Where the data port is, as far as the page can tell: the host that it was loaded from, with the port configured. */
function guess(gateway) {
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept) return kept;
  } catch {
    // What is not kept is guessed again.
  }
  const { scheme, port } = gateway.data;
  return `${scheme}://${location.hostname}${port ? ':' + port : ''}`;
}

export function SnippetBox({ gateway, secret, models }) {
  const [base, setBase] = useState(guess(gateway));
  const [client, setClient] = useState('curl');
  const [chosen, setModel] = useState('');
  const model = chosen || models[0] || 'MODEL';
  const snippet = SNIPPETS.find((snippet) => snippet.id === client);
  const text = snippet.text({ base: base.replace(/\/+$/, ''), key: secret || words.secretHere, model });
  const keep = (event) => {
    setBase(event.currentTarget.value);
    try {
      localStorage.setItem(KEPT, event.currentTarget.value);
    } catch {
      // It holds for this visit.
    }
  };
  return html`<div class="snippets">
    <div class="fields">
      <${Select} label=${words.client} value=${client} options=${SNIPPETS.map((snippet) => [snippet.id, snippet.name])} onChange=${setClient} />
      ${models.length ? html`<${Select} label=${words.model} value=${model} options=${models.map((name) => [name, name])} onChange=${setModel} />` : html`<label class="select"><span class="select-label">${words.model}</span><input value=${chosen} placeholder="MODEL" onInput=${(event) => setModel(event.currentTarget.value)} /></label>`}
      <label class="select"><span class="select-label">${words.baseUrl}</span><input value=${base} onInput=${keep} spellcheck=${false} /></label>
    </div>
    <div class="code"><pre tabindex="0">${text}</pre><${Copy} text=${text} /></div>
    <h3>${t.trial.title}</h3><${TrialBox} secret=${secret} model=${chosen || models[0] || ''} models=${models} />
  </div>`;
}
