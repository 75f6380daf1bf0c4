// Charts by our own small means: stacked bars, a spark line, a burn-down. Each has its figures as a table too.
import { html, useEffect, useRef, useState } from '../preact.js';
import { brief } from '../format.js';
import { t } from '../text.js';

export const COLOURS = 8;
export const colour = (index) => `var(--series-${(index % COLOURS) + 1})`;

/** The width that an element has at the moment. */
export function useWidth() {
  const node = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!node.current) return undefined;
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(node.current);
    return () => watch.disconnect();
  }, []);
  return [node, width];
}

/** A round step so that about four lines fit below `most`. */
export function steps(most) {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((step) => step >= rough);
  const lines = [];
  for (let line = 0; line < most + step; line += step) lines.push(line);
  return lines;
}

const axis = (number) => (Math.abs(number) >= 1000 || number === 0 ? brief(number) : String(Number(number.toPrecision(3))));

/** A chart, or the same as a table. */
export function Figure({ label, chart, table, legend }) {
  const [asTable, setAsTable] = useState(false);
  return html`
    <figure class="figure">
      <div class="figure-head">${legend || html`<span></span>`}<button type="button" class="button quiet" aria-pressed=${asTable ? 'true' : 'false'} aria-label=${(asTable ? t.showChart : t.showTable) + ': ' + label} onClick=${() => setAsTable(!asTable)}>${asTable ? t.showChart : t.showTable}</button></div>
      ${asTable ? table : chart}
    </figure>`;
}

export const Legend = ({ series }) => html`<ul class="legend">${series.map((name, i) => html`<li key=${name}><i style=${{ background: name === t.other ? 'var(--series-other)' : colour(i) }}></i>${name}</li>`)}</ul>`;

/** `bars`: `{ key, label, parts: [number], title }`; the parts of all bars are those of `series`. `onPick` opens a bar; the table beside it has the same as a link. */
export function Stack({ label, bars, series, height = 220, unit, onPick }) {
  const [node, width] = useWidth();
  const totals = bars.map((bar) => bar.parts.reduce((sum, part) => sum + part, 0));
  const lines = steps(Math.max(0, ...totals));
  const top = lines[lines.length - 1];
  const [left, bottom, head] = [48, 22, 8];
  const inner = height - bottom - head;
  const slot = bars.length ? (width - left) / bars.length : 0;
  const y = (value) => head + inner - (value / top) * inner;
  const every = Math.max(1, Math.ceil(bars.length / Math.max(1, Math.floor((width - left) / 64))));
  const bar = (bar, i) => {
    let below = 0;
    const size = Math.min(slot * 0.72, 36);
    return html`<g key=${bar.key} class=${onPick ? 'pick' : undefined} onClick=${onPick && (() => onPick(bar))}><title>${bar.title}</title>
      <rect class="hover" x=${left + i * slot} y=${head} width=${slot} height=${inner} />
      ${bar.parts.map((part, s) => {
        if (!(part > 0)) return null;
        const [from, to] = [y(below), y((below += part))];
        return html`<rect key=${s} x=${left + i * slot + (slot - size) / 2} y=${to} width=${size} height=${Math.max(0.75, from - to - (s ? 0 : 0))} fill=${series[s] === t.other ? 'var(--series-other)' : colour(s)} />`;
      })}
      ${i % every === 0 && html`<text class="tick" x=${left + (i + 0.5) * slot} y=${height - 6} text-anchor="middle">${bar.label}</text>`}</g>`;
  };
  return html`<div ref=${node} class="chart" style=${{ height: height + 'px' }}>${width > 0 && html`
    <svg width=${width} height=${height} role="img" aria-label=${label}>
      ${lines.map((line) => html`<g key=${line}><line class="grid" x1=${left} x2=${width} y1=${y(line)} y2=${y(line)} /><text class="tick" x=${left - 8} y=${y(line) + 4} text-anchor="end">${axis(line)}</text></g>`)}
      ${unit && html`<text class="tick" x="0" y=${height - 6}>${unit}</text>`}
      ${bars.map(bar)}
    </svg>`}</div>`;
}

export function Spark({ values, label }) {
  if (values.length < 2) return html`<div class="spark"></div>`;
  const most = Math.max(...values, 1e-12);
  const at = (value, i) => `${((i / (values.length - 1)) * 100).toFixed(2)},${(26 - (value / most) * 24).toFixed(2)}`;
  const points = values.map(at).join(' ');
  return html`<svg class="spark" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label=${label}>
    <polygon points=${'0,28 ' + points + ' 100,28'} /><polyline points=${points} /></svg>`;
}

/** What is left of a budget by day, against an even pace, with what is expected until the end. */
export function BurnDown({ label, days, left: rest, total, expected, high, height = 220 }) {
  const [node, width] = useWidth();
  const [side, bottom, head] = [48, 22, 8];
  const lowest = Math.min(0, expected ?? 0, high ?? 0, ...rest);
  const lines = steps(total);
  const top = Math.max(lines[lines.length - 1], total);
  const inner = height - bottom - head;
  const x = (i) => side + (i / Math.max(1, days.length)) * (width - side - 6);
  const y = (value) => head + ((top - value) / (top - lowest)) * inner;
  const line = (points) => points.map(([i, value]) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  const known = [[0, total], ...rest.map((value, i) => [i + 1, value])];
  const last = known[known.length - 1];
  const every = Math.max(1, Math.ceil(days.length / Math.max(1, Math.floor((width - side) / 64))));
  return html`<div ref=${node} class="chart" style=${{ height: height + 'px' }}>${width > 0 && html`
    <svg width=${width} height=${height} role="img" aria-label=${label}>
      ${lines.map((value) => html`<g key=${value}><line class="grid" x1=${side} x2=${width} y1=${y(value)} y2=${y(value)} /><text class="tick" x=${side - 8} y=${y(value) + 4} text-anchor="end">${axis(value)}</text></g>`)}
      <line class="zero" x1=${side} x2=${width} y1=${y(0)} y2=${y(0)} />
      ${days.map((day, i) => i % every === 0 && html`<text key=${day} class="tick" x=${x(i)} y=${height - 6} text-anchor="middle">${day}</text>`)}
      <polyline class="ideal" points=${line([[0, total], [days.length, 0]])} />
      ${high != null && expected != null && html`<polygon class="band" points=${line([last, [days.length, expected], [days.length, high]])} />`}
      ${expected != null && html`<polyline class="ahead" points=${line([last, [days.length, expected]])} />`}
      <polyline class="actual" points=${line(known)} /><circle class="now" cx=${x(last[0])} cy=${y(last[1])} r="3.5" />
    </svg>`}</div>`;
}
