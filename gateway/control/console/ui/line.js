// Time series by uPlot, which draws tens of thousands of points. Its script stands in the page beside ours.
import { html, useEffect } from '../preact.js';
import { brief, hour } from '../format.js';
import { useWidth } from './charts.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** `times` are seconds since 1970; `series`: `{ name, values, color }`, where `color` names a custom property. */
export function Line({ label, times, series, height = 220 }) {
  const [node, width] = useWidth();
  const data = JSON.stringify([times, series.map((line) => line.values)]);
  useEffect(() => {
    if (!width || !window.uPlot || !times.length) return undefined;
    const draw = () => {
      const axis = { stroke: css('--ink-3'), font: '11px system-ui', ticks: { show: false }, grid: { stroke: css('--line'), width: 1 } };
      return new window.uPlot({
        width, height, padding: [10, 22, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: { x: { time: true }, y: { range: (_, low, most) => [0, Math.max(1, most * 1.1)] } },
        axes: [
          { ...axis, size: 26, grid: { show: false }, values: (_, marks) => marks.map((mark) => hour(mark * 1000)) },
          { ...axis, size: 48, values: (_, marks) => marks.map(brief) },
        ],
        series: [{}, ...series.map((line) => ({ label: line.name, stroke: css(line.color), fill: line.fill ? css(line.fill) : undefined, width: 1.75, points: { show: times.length < 3 } }))],
      }, [times, ...series.map((line) => line.values)], node.current);
    };
    let plot = draw();
    const redraw = () => { plot.destroy(); plot = draw(); };
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', redraw);
    const watch = new MutationObserver(redraw);
    watch.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => { dark.removeEventListener('change', redraw); watch.disconnect(); plot.destroy(); };
  }, [width, height, data]);
  return html`<div ref=${node} class="chart" style=${{ height: height + 'px' }} role="img" aria-label=${label}></div>`;
}
