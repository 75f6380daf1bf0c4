// Money is a decimal text of at most twelve places. Sums are made of whole picos, so they are exact; a
// number of JavaScript's is made of an amount only to draw it.
const PLACES = 12;
const UNIT = 10n ** BigInt(PLACES);

/** An amount in picos. Texts that are no amounts are an error, never a guess. */
export function picos(text) {
  const parts = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(text ?? '');
  if (!parts) throw new Error('no amount');
  const whole = BigInt(parts[2]) * UNIT + BigInt((parts[3] || '').padEnd(PLACES, '0'));
  return parts[1] ? -whole : whole;
}

/** The decimal text of so many picos, without zeros at the end. */
export function amount(value) {
  const sign = value < 0n ? '-' : '';
  const size = value < 0n ? -value : value;
  const rest = String(size % UNIT).padStart(PLACES, '0').replace(/0+$/, '');
  return sign + String(size / UNIT) + (rest ? '.' + rest : '');
}

export const sum = (texts) => amount(texts.reduce((total, text) => total + picos(text), 0n));
export const minus = (a, b) => amount(picos(a) - picos(b));
export const isZero = (text) => picos(text) === 0n;
export const compare = (a, b) => {
  const difference = picos(a) - picos(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
};

/** For drawing only. */
export const drawn = (text) => (text == null ? 0 : Number(text));

/** What share `part` is of `whole`, in tenths of a per cent, rounded; null of nothing. */
export function permille(part, whole) {
  const [a, b] = [picos(part), picos(whole)];
  return b === 0n ? null : Number((a * 2000n + b) / (2n * b));
}

/** Rounded half up to `places`, with groups of three digits. What is not nothing is not shown as nothing. */
export function rounded(text, places) {
  const value = picos(text);
  const size = value < 0n ? -value : value;
  const step = 10n ** BigInt(PLACES - places);
  const steps = (size + step / 2n) / step;
  const digits = String(steps).padStart(places + 1, '0');
  const whole = digits.slice(0, digits.length - places).replace(/\B(?=(\d{3})+$)/g, ',');
  const shown = places ? whole + '.' + digits.slice(-places) : whole;
  if (steps === 0n && size > 0n) return (value < 0n ? '> -' : '< ') + amount(step);
  return (value < 0n ? '-' : '') + shown;
}

/** How many places make a list of amounts readable together. */
export function placesFor(texts) {
  const largest = texts.reduce((most, text) => {
    const value = picos(text);
    const size = value < 0n ? -value : value;
    return size > most ? size : most;
  }, 0n);
  if (largest >= 10n * UNIT || largest === 0n) return 2;
  return largest >= UNIT / 100n ? 4 : 6;
}
