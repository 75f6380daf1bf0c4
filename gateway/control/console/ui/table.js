// Tables: real ones, that scroll inside their own frame and are named.
import { html, useState } from '../preact.js';
import { count } from '../format.js';
import { t } from '../text.js';
import { Icon } from './parts.js';

/** So many rows are drawn at first, and more each time. */
const DRAWN = 100;

/**
 * `columns`: `{ key, title, num, minor, render(row), sort }`; minor ones are left out where the screen is narrow. On a narrow screen each row becomes a card, with the column's title
 * before each value. Of very many rows a part is drawn until the reader asks for more.
 */
export function Table({ label, columns, rows, rowKey, foot, sorted, onSort, selected, onOpen }) {
  const [most, setMost] = useState(DRAWN);
  const cell = (column, row) => html`
    <td key=${column.key} class=${looks(column)} data-title=${column.title}><div>${column.render(row)}</div></td>`;
  const head = (column) => {
    const sort = sorted && sorted.key === column.key ? (sorted.down ? 'descending' : 'ascending') : undefined;
    const title = column.sort && onSort
      ? html`<button type="button" class="sort" onClick=${() => onSort(column.key)}>${column.title}${sort && html`<${Icon} name=${sorted.down ? 'down' : 'up'} />`}</button>`
      : column.title || html`<span class="sr">${t.fields.actions}</span>`;
    return html`<th key=${column.key} scope="col" class=${looks(column)} aria-sort=${sort}>${title}</th>`;
  };
  return html`
    <div class="table-frame" role="region" aria-label=${label} tabindex="0">
      <table>
        <thead><tr>${columns.map(head)}</tr></thead>
        <tbody>${rows.slice(0, most).map((row, i) => html`
          <tr key=${rowKey ? rowKey(row) : i} class=${(onOpen ? 'opens' : '') + (selected && selected(row) ? ' selected' : '')} onClick=${onOpen && ((event) => !event.target.closest('a, button, input, select') && onOpen(row))}>${columns.map((column) => cell(column, row))}</tr>`)}</tbody>
        ${foot && html`<tfoot><tr>${columns.map((column) => html`<td key=${column.key} class=${looks(column)} data-title=${column.title}><div>${column.foot ? column.foot(foot) : ''}</div></td>`)}</tr></tfoot>`}
      </table>
    </div>
    ${rows.length > most && html`<div class="table-end"><span class="faint">${t.drawn(count(most), count(rows.length))}</span><button type="button" class="button" onClick=${() => setMost(most + DRAWN)}>${t.more}</button></div>`}`;
}

const looks = ({ num, minor, className }) => [num && 'right', minor && 'minor', className].filter(Boolean).join(' ') || undefined;

/** Rows as CSV. What a spreadsheet would take for a formula is made a text. */
export function csv(header, rows) {
  const safe = (value) => {
    const text = value == null ? '' : String(value);
    const tame = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? "'" + text : text;
    return /[",\n\r]/.test(tame) ? '"' + tame.replaceAll('"', '""') + '"' : tame;
  };
  return [header, ...rows].map((row) => row.map(safe).join(',')).join('\r\n') + '\r\n';
}

export function download(name, text, type = 'text/csv;charset=utf-8') {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
