// What neither the compiler nor the linter sees: catalogues that lack a key, colours that are no token.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('../src/', import.meta.url).pathname;
const problems = [];

const leaves = (value, path = '') =>
  typeof value === 'string'
    ? [[path, value]]
    : Object.entries(value).flatMap(([key, inner]) => leaves(inner, path ? `${path}.${key}` : key));
const holes = (text) => [...text.matchAll(/\{\{\s*(\w+)/g)].map((match) => match[1]).toSorted();
const read = (language, file) => JSON.parse(readFileSync(join(root, 'i18n', language, file), 'utf8'));

for (const file of readdirSync(join(root, 'i18n/pt-BR')).filter((name) => name.endsWith('.json'))) {
  const [source, other] = ['pt-BR', 'en'].map((language) => new Map(leaves(read(language, file))));
  for (const [key, text] of source) {
    if (!other.has(key)) problems.push(`en/${file} lacks ${key}`);
    else if (String(holes(text)) !== String(holes(other.get(key)))) problems.push(`en/${file} ${key}: other {{holes}}`);
    if (!text.trim()) problems.push(`pt-BR/${file} ${key} is empty`);
  }
  for (const key of other.keys()) if (!source.has(key)) problems.push(`pt-BR/${file} lacks ${key}`);
}

const files = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
for (const file of files(root)) {
  if (!/\.(css|tsx|ts)$/.test(file) || /(tokens|base)\.css$|\/api\/schema\.ts$/.test(file)) continue;
  for (const [number, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (/[:\s'"(](#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6})\b|\brgba?\(|\bhsla?\(/.test(line)) {
      problems.push(`${file.replace(root, 'src/')}:${number + 1} has a raw colour; take a token of tokens.css`);
    }
  }
}

if (problems.length) {
  console.error(problems.join('\n'));
  process.exit(1);
}
