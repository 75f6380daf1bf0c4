// How counts, times and shares are written. Times are in the gateway's zone, which is always named.
let zone = 'UTC';

export const setZone = (name) => (zone = name || 'UTC');
export const zoneName = () => zone;

export const count = (number) =>
  number == null ? '–' : String(number).replace(/\B(?=(\d{3})+$)/g, ',');

/** A count in few letters; the exact one belongs into the title. */
export function brief(number) {
  if (number == null) return '–';
  const steps = [[1e9, 'B'], [1e6, 'M'], [1e4, 'k']];
  const step = steps.find(([size]) => Math.abs(number) >= size);
  if (!step) return count(Math.round(number * 10) / 10);
  const size = step[1] === 'k' ? 1e3 : step[0];
  return (number / size).toFixed(number / size >= 100 ? 0 : 1) + step[1];
}

export function millis(ms) {
  if (ms == null) return '–';
  if (ms < 1000) return ms + ' ms';
  if (ms < 60000) return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + ' s';
  return Math.floor(ms / 60000) + ' min ' + Math.round((ms % 60000) / 1000) + ' s';
}

export const percent = (share, places = 1) => (share == null ? '–' : (share * 100).toFixed(places) + ' %');
export const tenths = (permille) => (permille == null ? '–' : (permille / 10).toFixed(1) + ' %');

const CLOCK = { hour: '2-digit', minute: '2-digit' };
const FORMS = {
  instant: ['en-GB', { year: 'numeric', month: 'short', day: '2-digit', ...CLOCK, second: '2-digit' }],
  clock: ['en-GB', { ...CLOCK, second: '2-digit' }],
  hour: ['en-GB', CLOCK],
  day: ['en-CA', { year: 'numeric', month: '2-digit', day: '2-digit' }],
};
const made = new Map();

/** Browsers take long to make a format, and a table has hundreds of times: each is made once for a zone. */
function form(name) {
  const key = name + zone;
  if (!made.has(key)) {
    const [language, options] = FORMS[name];
    made.set(key, new Intl.DateTimeFormat(language, { timeZone: zone, hourCycle: 'h23', ...options }));
  }
  return made.get(key);
}

export const instant = (text) => (text ? form('instant').format(new Date(text)) : '–');
export const clock = (at) => form('clock').format(new Date(at));
export const hour = (at) => form('hour').format(new Date(at));

/** The time of day, with the day where it is another one than today. */
export function moment(at) {
  const time = clock(at);
  return day(at) === day(Date.now()) ? time : shortDay(day(at)) + ' ' + time;
}

/** A day as `2026-11-30` in the gateway's zone, as the API groups by. */
export const day = (at) => form('day').format(new Date(at));

const SHORT = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short' });

/** `30 Nov`, of a text such as `2026-11-30`. */
export function shortDay(text) {
  const [year, month, date] = text.split('-').map(Number);
  if (!date) return text;
  return SHORT.format(Date.UTC(year, month - 1, date));
}

/** How long ago, or how long until. */
export function ago(text, now = Date.now()) {
  if (!text) return '–';
  const seconds = Math.round((now - new Date(text)) / 1000);
  const size = Math.abs(seconds);
  const told = size < 60 ? size + ' s' : size < 3600 ? Math.round(size / 60) + ' min' : size < 172800 ? Math.round(size / 3600) + ' h' : Math.round(size / 86400) + ' d';
  return seconds >= 0 ? told + ' ago' : 'in ' + told;
}
