// A small real request with a key: what a model answers, what it costs, and why it went where it went.
import { html, useState } from '../preact.js';
import { call } from '../api.js';
import { millis } from '../format.js';
import { t } from '../text.js';
import { Badge, Money, Prose, Select } from '../ui/parts.js';
import { Note } from '../ui/states.js';

const words = t.trial;

/** `secret` where it has just been shown; else it is asked for. It is sent to the gateway and kept nowhere. */
export function TrialBox({ secret, model, models }) {
  const [key, setKey] = useState('');
  const [prompt, setPrompt] = useState(words.usual);
  const [other, setOther] = useState('');
  const [results, setResults] = useState([]);
  const [busy, setBusy] = useState(false);
  const others = models.filter((name) => name !== model);
  const run = async (event) => {
    event.preventDefault();
    const asked = [model, other].filter((name, i, all) => name && all.indexOf(name) === i);
    setBusy(true);
    setResults(await Promise.all(asked.map((name) => ask(secret || key.trim(), name, prompt))));
    setBusy(false);
  };
  return html`<form class="trial" onSubmit=${run}>
    <p class="faint">${words.lead}</p>
    <div class="fields">
      ${!secret && html`<label class="select"><span class="select-label">${words.key}</span><input type="password" value=${key} onInput=${(event) => setKey(event.currentTarget.value)} required autocomplete="off" spellcheck=${false} placeholder=${words.keyHint} /></label>`}
      <label class="select"><span class="select-label">${words.prompt}</span><input value=${prompt} maxlength="4000" onInput=${(event) => setPrompt(event.currentTarget.value)} required /></label>
      ${others.length > 0 && html`<${Select} label=${words.compare} value=${other} options=${[['', words.alone], ...others.map((name) => [name, name])]} onChange=${setOther} />`}
      <button type="submit" class="button" disabled=${busy || !model}>${busy ? words.running : words.run}</button>
    </div>
    <div class="trials" aria-live="polite">${results.map((result) => html`<${Result} key=${result.model} result=${result} />`)}</div>
  </form>`;
}

/** One try. The gateway's word that it cannot be tried is a result too. */
async function ask(secret, model, prompt) {
  try {
    return { model, ...(await call('/keys/test', { method: 'POST', body: { secret, model, prompt } })) };
  } catch (problem) {
    return { model, ok: false, status: problem.status, error: { message: problem.message } };
  }
}

function Result({ result }) {
  const { error, explanation } = result;
  const story = explanation ? explanation.story : [];
  return html`<section class="trial-result" aria-label=${words.result(result.model)}>
    <h4>${result.model} <${Badge} tone=${result.ok ? 'ok' : 'bad'}>${result.ok ? words.answered : words.refused(result.status)}<//></h4>
    ${result.ok && html`<p class="said">${result.answer || html`<span class="faint">${words.saidNothing}</span>`}</p>`}
    ${error && html`<${Note} tone="bad" icon="bad">${words.source[error.source] && words.source[error.source] + ': '}${error.code && html`<code>${error.code}</code> `}${error.message}
      ${error.meaning && html`<p><${Prose} text=${error.meaning} /></p>`}${error.remedy && html`<p><strong>${t.requests.remedy}:</strong> <${Prose} text=${error.remedy} /></p>`}<//>`}
    ${result.duration_ms > 0 && html`<p class="faint">${[result.upstream && words.by(result.upstream, result.region), result.attempts > 0 && words.tries(result.attempts), result.input_tokens != null && words.tokens(result.input_tokens, result.output_tokens), millis(result.duration_ms)].filter(Boolean).join(' · ')}${result.ok && html` · ${result.cost == null ? words.notPriced : html`<${Money} value=${result.cost} currency=${result.currency} places=${6} />`}`}</p>`}
    ${story.length > 0 && html`<ul class="story small">${story.map((sentence, i) => html`<li key=${i}>${sentence}</li>`)}</ul>`}
    ${explanation && result.request_id && html`<p><a href=${'/requests?id=' + encodeURIComponent(result.request_id)} target="_blank" rel="noopener">${words.request}</a></p>`}
  </section>`;
}
