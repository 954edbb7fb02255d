// The budget of the first paint: the entry and what it imports at once, compressed as it travels.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = { js: 200_000, css: 20_000 };
const dist = new URL('../dist/', import.meta.url).pathname;
const size = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;
const found = { js: new Set(), css: new Set() };

const visit = (file) => {
  if (found.js.has(file)) return;
  found.js.add(file);
  const text = readFileSync(join(dist, file), 'utf8');
  for (const [, name] of text.matchAll(/(?:from|import)\s*["']\.\/([\w.-]+\.js)["']/g)) visit(`assets/${name}`);
};
const page = readFileSync(join(dist, 'index.html'), 'utf8');
for (const [, file] of page.matchAll(/(?:src|href)="\.\/(assets\/[\w.-]+\.js)"/g)) visit(file);
for (const [, file] of page.matchAll(/href="\.\/(assets\/[\w.-]+\.css)"/g)) found.css.add(file);

let over = false;
for (const kind of ['js', 'css']) {
  const bytes = [...found[kind]].reduce((sum, file) => sum + size(file), 0);
  over ||= bytes > BUDGET[kind];
  console.log(`entry ${kind}: ${(bytes / 1000).toFixed(1)} kB gzip of ${BUDGET[kind] / 1000}`);
}
if (over) process.exit(1);
