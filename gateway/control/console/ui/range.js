// The period that a view is about: in the address, in the words of the API.
import { html, useState } from '../preact.js';
import { zoneName } from '../format.js';
import { refine } from '../route.js';
import { t } from '../text.js';
import { Select } from './parts.js';

const FROM = { '15m': '-15m', '1h': '-1h', '6h': '-6h', month: 'this-month' };
const HOUR = 3600000;
/** Long periods begin with a whole hour: sums by the hour answer them, and no row has to be read. */
const HOURS = { '24h': 24, '7d': 7 * 24, '30d': 30 * 24 };

/** The beginning of the hour so many hours ago, for the API. */
export const hoursAgo = (hours) => new Date(Math.floor(Date.now() / HOUR) * HOUR - hours * HOUR).toISOString();

/** `{ from, to }` for the API. */
export function period(query, usual) {
  const range = query.range || usual;
  if (range === 'custom') return { from: query.from, to: query.to };
  if (range === 'last') return { from: 'last-month', to: 'this-month' };
  const hours = HOURS[range] || (FROM[range] ? 0 : HOURS[usual]);
  return { from: hours ? hoursAgo(hours) : FROM[range] || FROM[usual] };
}

export function Range({ query, usual, ranges }) {
  const range = query.range || usual;
  const [custom, setCustom] = useState(range === 'custom');
  const choose = (range) => {
    setCustom(range === 'custom');
    if (range !== 'custom') refine({ range: range === usual ? null : range, from: null, to: null, after: null });
  };
  const set = (name) => (event) => refine({ range: 'custom', [name]: event.currentTarget.value || null });
  const options = [...ranges, 'custom'].map((key) => [key, t.ranges[key]]);
  return html`<div class="range">
    <${Select} hidden label=${t.ranges.label + ', ' + t.zone(zoneName())} value=${custom ? 'custom' : range} options=${options} onChange=${choose} />
    ${custom && html`<label class="select"><span class="select-label">${t.ranges.from}</span><input type="date" value=${query.from || ''} onChange=${set('from')} /></label>
      <label class="select"><span class="select-label">${t.ranges.to}</span><input type="date" value=${query.to || ''} onChange=${set('to')} /></label>`}
  </div>`;
}
