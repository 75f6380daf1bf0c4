// Signing in: by a token, or by the link that a gateway prints at its first start.
import { html, useEffect, useState } from '../preact.js';
import { call } from '../api.js';
import { here } from '../route.js';
import { t } from '../text.js';
import { Prose } from '../ui/parts.js';
import { Note } from '../ui/states.js';

export function SignIn({ ended, onDone }) {
  const [busy, setBusy] = useState(null);
  const [problem, setProblem] = useState(null);

  const enter = async (body, how) => {
    setBusy(how);
    setProblem(null);
    try {
      await call('/session', { method: 'POST', body });
      onDone();
    } catch (problem) {
      setProblem(problem);
      setBusy(null);
    }
  };
  useEffect(() => {
    const link = here().view === 'sign-in' && location.hash.slice(1);
    if (!link) return;
    // It is good once: it must not stay in the history.
    history.replaceState(null, '', '/sign-in');
    enter({ link }, t.signIn.byLink);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    const token = event.currentTarget.elements.token.value.trim();
    if (token) enter({ token }, t.signIn.busy);
  };

  return html`
    <main id="main" class="sign-in">
      <form onSubmit=${submit}>
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" /><path d="M8 25V11m0 1 17-5" /><circle cx="8" cy="11" r="3" /><path class="bar" d="M14 25h11" /></svg>
        <h1>${t.signIn.title}</h1>
        <p>${t.signIn.lead}</p>
        ${ended && html`<${Note} icon="clock">${t.signIn.ended}<//>`}
        ${problem && html`<${Note} tone="bad" icon="bad">${problem.message}<//>`}
        <label class="field"><span class="field-label">${t.signIn.token}</span><input name="token" type="password" autocomplete="current-password" required autofocus spellcheck=${false} /></label>
        <button type="submit" class="button primary" disabled=${busy != null}>${busy || t.signIn.submit}</button>
        <p class="small">${t.signIn.note}</p>
        <p class="small"><${Prose} text=${t.signIn.bearer} /></p>
      </form>
    </main>`;
}
