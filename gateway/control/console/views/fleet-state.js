// How a region, upstream, target or model stands, in one word with an icon and a tone.
import { t } from '../text.js';

const say = (tone, icon, word) => ({ tone, icon, word });

/** The operator's word comes before the gateway's own observation: what was ordered explains what is seen. */
export function stateOf(view, now = Date.now()) {
  const words = t.stateWords;
  if (view.effective_state === 'disabled') return say('bad', 'off', words.disabled);
  if (view.effective_state === 'draining') return say('warn', 'pause', words.draining);
  if (view.failover) return say('warn', 'move', words.moved);
  if (view.awaits_operator) return say('bad', 'bad', words.away);
  if (view.breaker === 'open') return say('bad', 'bad', words.open);
  if (view.breaker === 'half_open') return say('warn', 'probe', words.half_open);
  if (view.hold_until && Date.parse(view.hold_until) > now) return say('warn', 'clock', words.held);
  if (view.effective_state === 'forced') return say('warn', 'warn', words.forced);
  if (view.success_rate != null && view.success_rate < 0.95) return say('warn', 'warn', words.degraded);
  return say('ok', 'ok', words.enabled);
}

/** True where an operator's word can be taken back. */
export const isOrdered = (view) => view.author != null;
