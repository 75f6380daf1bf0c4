// Adds up answers of `GET /usage` by the console's own arithmetic, as its cost table does.
//
// node console_sums.mjs MONEY_JS < answers.json
import { readFileSync } from 'node:fs';

// As a module, whatever this version of Node takes the file's name for.
const text = readFileSync(process.argv[2], 'utf8');
const { sum } = await import('data:text/javascript,' + encodeURIComponent(text));
const answers = JSON.parse(readFileSync(0, 'utf8'));
const COUNTS = ['requests', 'refusals', 'unpriced_requests', 'input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens'];
const sums = answers.map(({ items }) => ({
  ...Object.fromEntries(COUNTS.map((name) => [name, items.reduce((total, item) => total + item[name], 0)])),
  cost: sum(items.map((item) => item.cost)),
}));
process.stdout.write(JSON.stringify(sums));
