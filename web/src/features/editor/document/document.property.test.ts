/** EDIT-1: a change means what was asked, and touches no line that it need not. */
import { array, assert, constantFrom, dictionary, letrec, nat, oneof, pre, property, string, tuple } from 'fast-check';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { insertAt, moveItem, removeAt, renameKey, same, setAt } from './edit';
import { jsonOf, readTree, type Json, type Path } from './tree';
import { written, type Written } from './written';

const KEYS = ['id', 'uses', 'with', 'needs', 'a b', '1.0', 'true', 'é', 'k#', 'x-y', 'null', '<<x', '', 'a: b'];
const TEXTS = [
  'core/python',
  '',
  ' lead',
  'trail ',
  'a: b',
  '- x',
  '#no',
  'x #y',
  'yes',
  '1e3',
  'null',
  '0x1F',
  '12:30',
  '2026-01-02',
  '${{ inputs.x }}',
  "it's",
  'say "x"',
  '\\n',
  'two\nlines',
  'ends\n',
  'gap\n\nend',
  'tab\there',
  'emoji 😀',
  '\u2028',
  '\u0085',
  '*star',
  '&and',
  '!bang',
  '%pct',
  '@at',
  '`tick',
  '{',
  ']',
  'a, b',
  '? q',
  '|',
  '>',
  '---',
  '...',
  'São Paulo',
  '30s',
  '~',
  '5',
];
const someScalar = oneof(
  constantFrom<Json>(null, true, false, 0, 5, -3, 1.5, 1e21, 1e-7),
  constantFrom<Json>(...TEXTS),
  string({ maxLength: 12 }),
);
const { value } = letrec<{ value: Json }>((tie) => ({
  value: oneof(
    { maxDepth: 4, depthSize: 'small' },
    { weight: 3, arbitrary: someScalar },
    { weight: 2, arbitrary: array(tie('value'), { maxLength: 4 }) },
    { weight: 3, arbitrary: dictionary(constantFrom(...KEYS), tie('value'), { maxKeys: 4 }) },
  ),
}));
const someDocument = tuple(dictionary(constantFrom(...KEYS), value, { minKeys: 1, maxKeys: 5 }), nat()).map(
  ([content, seed]) => written(content as { [key: string]: Json }, seed),
);

function pathsOf(node: Json, path: Path = []): Path[] {
  if (node === null || typeof node !== 'object') return [path];
  const keys: (string | number)[] = Array.isArray(node) ? [...node.keys()] : Object.keys(node);
  return [path, ...keys.flatMap((key) => pathsOf((node as never)[key], [...path, key]))];
}

function valueAt(root: Json, path: Path): Json {
  return path.reduce<Json>((here, part) => (here as never)[part], root);
}

function isWithin(path: Path, owner: Path): boolean {
  return owner.every((part, index) => path[index] === part);
}

function read(text: string): Json {
  const { tree, problem } = readTree(text);
  if (!tree) throw new Error(`${problem.code} ${problem.message} in\n${text}`);
  return jsonOf(tree.root);
}

/** Every line that has nothing of the touched node is still there, and in order. */
function untouched(before: Written, after: string, touched: (owner: Path) => boolean): void {
  const lines = after.split(/\r?\n/);
  let at = 0;
  for (const line of before.lines) {
    if (line.owners.some(touched)) continue;
    const found = lines.indexOf(line.text, at);
    if (found < 0)
      throw new Error(`lost the line ${JSON.stringify(line.text)}\n--- before\n${before.text}\n--- after\n${after}`);
    at = found + 1;
  }
}

function comments(before: Written, after: string, touched: (owner: Path) => boolean): void {
  for (const comment of before.comments) {
    if (!touched(comment.owner)) expect(after, `comment ${comment.text} of\n${before.text}`).toContain(comment.text);
  }
}

function pick<T>(items: readonly T[], seed: number): T {
  return items[seed % items.length] as T;
}

const runs = { numRuns: Number(process.env.EDIT_RUNS ?? 200) };

describe('EDIT-1', () => {
  test('what is written is read as it was meant', () => {
    assert(
      property(someDocument, (before) => {
        expect(read(before.text)).toEqual(before.value);
        expect(same(parse(before.text, { version: '1.2', schema: 'core' }) as Json, before.value)).toBe(true);
      }),
      runs,
    );
  });

  test('setting a value changes that value alone', () => {
    assert(
      property(someDocument, value, nat(), (before, wanted, seed) => {
        const path = pick(pathsOf(before.value).slice(1), seed);
        const after = setAt(before.text, path, wanted);
        const meant = structuredClone(before.value);
        (valueAt(meant, path.slice(0, -1)) as never)[path.at(-1) as never] = wanted as never;
        expect(read(after)).toEqual(meant);
        const touched = (owner: Path): boolean => isWithin(owner, path);
        untouched(before, after, touched);
        comments(before, after, touched);
      }),
      runs,
    );
  });

  test('setting the value that is there changes nothing', () => {
    assert(
      property(someDocument, nat(), (before, seed) => {
        const path = pick(pathsOf(before.value).slice(1), seed);
        expect(setAt(before.text, path, valueAt(before.value, path))).toBe(before.text);
      }),
      runs,
    );
  });

  test('a scalar changes only its own bytes', () => {
    assert(
      property(someDocument, someScalar, nat(), (before, wanted, seed) => {
        const { tree } = readTree(before.text);
        const leaves = pathsOf(before.value).filter((path) => {
          const here = valueAt(before.value, path);
          return path.length > 0 && here !== null && typeof here !== 'object' && !String(here).includes('\n');
        });
        pre(tree !== null && leaves.length > 0 && !String(wanted).includes('\n'));
        const path = pick(leaves, seed);
        const node = path.reduce<never>((here, part) => {
          const { entries } = here as { entries: { key: unknown; value: never }[] };
          return (entries.find((entry) => entry.key === part) as { value: never }).value;
        }, tree?.root as never) as { from: number; to: number; style: string };
        pre(node.style !== 'block');
        const after = setAt(before.text, path, wanted);
        expect(after.slice(0, node.from)).toBe(before.text.slice(0, node.from));
        expect(after.slice(after.length - (before.text.length - node.to))).toBe(before.text.slice(node.to));
      }),
      runs,
    );
  });

  test('adding a key leaves every line of the others', () => {
    assert(
      property(someDocument, value, nat(), (before, wanted, seed) => {
        const maps = pathsOf(before.value).filter((path) => {
          const here = valueAt(before.value, path);
          return here !== null && typeof here === 'object' && !Array.isArray(here);
        });
        const above = pick(maps, seed);
        const after = setAt(before.text, [...above, 'added'], wanted);
        const meant = structuredClone(before.value);
        (valueAt(meant, above) as { [key: string]: Json }).added = wanted;
        expect(read(after)).toEqual(meant);
        const empty = Object.keys(valueAt(before.value, above) as object).length === 0;
        untouched(before, after, (owner) => (empty || before.flow(above)) && isWithin(owner, above));
        comments(before, after, () => false);
      }),
      runs,
    );
  });

  test('taking a key or an item away takes its lines and no others', () => {
    assert(
      property(someDocument, nat(), (before, seed) => {
        const all = pathsOf(before.value).filter(
          (path) => path.length > 1 || (path.length === 1 && Object.keys(before.value).length > 1),
        );
        pre(all.length > 0);
        const path = pick(all, seed);
        const above = path.slice(0, -1);
        const after = removeAt(before.text, path);
        const meant = structuredClone(before.value);
        const owner = valueAt(meant, above);
        if (Array.isArray(owner)) owner.splice(Number(path.at(-1)), 1);
        else delete (owner as { [key: string]: Json })[String(path.at(-1))];
        expect(read(after)).toEqual(meant);
        const siblings = pathsOf(valueAt(before.value, above)).filter((below) => below.length === 1).length;
        const wide = siblings === 1 || before.flow(above);
        const beside = before.lines.filter((line) => line.owners.some((own) => isWithin(own, path)));
        const next = before.lines[before.lines.indexOf(beside.at(-1) as never) + 1];
        const shares = beside[0]?.owners.some((own) => !isWithin(own, path)); // `- id: a`: the next key comes up
        untouched(before, after, (own) =>
          wide
            ? isWithin(own, above)
            : isWithin(own, path) || (shares === true && next?.owners.includes(own) === true && isWithin(own, above)),
        );
        comments(before, after, (own) => isWithin(own, wide ? above : path));
      }),
      runs,
    );
  });

  test('a new item goes where it was wanted', () => {
    assert(
      property(someDocument, value, nat(), nat(), (before, wanted, seed, place) => {
        const lists = pathsOf(before.value).filter((path) => Array.isArray(valueAt(before.value, path)));
        pre(lists.length > 0);
        const path = pick(lists, seed);
        const meant = structuredClone(before.value);
        const list = valueAt(meant, path) as Json[];
        const index = place % (list.length + 1);
        const empty = list.length === 0;
        list.splice(index, 0, wanted);
        const after = insertAt(before.text, path, index, wanted);
        expect(read(after)).toEqual(meant);
        const first = (owner: Path): boolean => index === 0 && isWithin(owner, [...path, 0]); // it may share its line with what holds it
        untouched(before, after, (owner) => ((empty || before.flow(path)) && isWithin(owner, path)) || first(owner));
        comments(before, after, () => false);
      }),
      runs,
    );
  });

  test('moving an item keeps every comment and every line outside its list', () => {
    assert(
      property(someDocument, nat(), nat(), nat(), (before, seed, one, two) => {
        const lists = pathsOf(before.value).filter((path) => {
          const here = valueAt(before.value, path);
          return Array.isArray(here) && here.length > 1;
        });
        pre(lists.length > 0);
        const path = pick(lists, seed);
        const meant = structuredClone(before.value);
        const list = valueAt(meant, path) as Json[];
        const [from, to] = [one % list.length, two % list.length];
        list.splice(to, 0, ...list.splice(from, 1));
        const after = moveItem(before.text, path, from, to);
        expect(read(after)).toEqual(meant);
        untouched(before, after, (owner) => isWithin(owner, path));
        comments(before, after, () => false);
      }),
      runs,
    );
  });

  test('a key gets another name and nothing else changes', () => {
    assert(
      property(someDocument, nat(), (before, seed) => {
        const keys = pathsOf(before.value).filter((path) => typeof path.at(-1) === 'string');
        const path = pick(keys, seed);
        const after = renameKey(before.text, path, 'renamed');
        const meant = structuredClone(before.value);
        const owner = valueAt(meant, path.slice(0, -1)) as { [key: string]: Json };
        owner.renamed = owner[String(path.at(-1))] as Json;
        delete owner[String(path.at(-1))];
        expect(read(after)).toEqual(meant);
        untouched(before, after, (own) => isWithin(own, path));
        comments(before, after, () => false);
      }),
      runs,
    );
  });
});
