/**
 * The smallest change of a flow's text that gives a value: comments, order, quotes and blank lines elsewhere stay.
 *
 * Each function takes text and gives text. What a change means is checked against what was asked before it is
 * given back, so that a change never means anything else.
 */
import { entryEnd, extentOf, hasBlankGaps, isAlone, isIndentOnly, columnOf, skipBlank, type Extent } from './places';
import {
  flowText,
  isCollection,
  isShortList,
  keyText,
  literalText,
  quoted,
  scalarText,
  singleQuoted,
  valueText,
} from './render';
import type { Manner } from './render';
import { entryOf, find, jsonOf, readTree } from './tree';
import type { Entry, Json, ListNode, MapNode, Path, ScalarNode, Tree, TreeNode } from './tree';

interface Change {
  from: number;
  to: number;
  insert: string;
}

/** The text cannot be changed so: it is not valid, or the place is not there. */
export class CannotEdit extends Error {}

export function treeOf(text: string): Tree {
  const { tree, problem } = readTree(text);
  if (tree) return tree;
  throw new CannotEdit(`line ${problem.line}: ${problem.message}`);
}

/** Sets the value at a path; what is missing on the way is made. `order` tells where a new key goes. */
export function setAt(text: string, path: Path, value: Json, order: readonly string[] = []): string {
  const tree = treeOf(text);
  const node = find(tree.root, path);
  if (!node) return setMissing(text, tree, path, value, order);
  if (same(jsonOf(node), value)) return text;
  if (node.kind === 'map' && isMapping(value) && !node.bare) return setMapping(text, path, node, value);
  if (node.kind === 'list' && Array.isArray(value)) return setList(text, path, node, value);
  const [parent, entry] = placeOf(tree, path);
  return checked(tree, [replaceValue(tree, parent, entry, value)], (root) => assign(root, path, value));
}

/** Takes a key or an item away. */
export function removeAt(text: string, path: Path): string {
  const tree = treeOf(text);
  const [parent, entry] = placeOf(tree, path);
  if (parent.entries.length === 1 || (parent.kind === 'map' && parent.bare)) {
    if (path.length === 1) throw new CannotEdit('A flow needs at least one key.');
    const rest = jsonOf(parent) as { [key: string]: Json } | Json[];
    const left = Array.isArray(rest) ? [] : without(rest, String(entry.key));
    const [above, own] = placeOf(tree, path.slice(0, -1));
    return checked(tree, [replaceValue(tree, above, own, left)], (root) => take(root, path));
  }
  const index = parent.entries.indexOf(entry as never);
  const changes = parent.flow ? removeFromFlow(tree, parent, index) : removeFromBlock(tree, parent, index);
  return checked(tree, changes, (root) => take(root, path));
}

/** Puts an item into a list, before the one that stands at `index`. */
export function insertAt(text: string, path: Path, index: number, value: Json): string {
  const tree = treeOf(text);
  const list = find(tree.root, path);
  if (!list || (list.kind === 'scalar' && list.value === null)) return setAt(text, path, [value]);
  if (list.kind !== 'list') throw new CannotEdit('There is no list here.');
  const place = Math.max(0, Math.min(index, list.entries.length));
  const model = (root: Json): Json => {
    (at(root, path) as Json[]).splice(place, 0, value);
    return root;
  };
  if (list.entries.length === 0) {
    const [parent, entry] = placeOf(tree, path);
    return checked(tree, [replaceValue(tree, parent, entry, [value])], model);
  }
  const manner = mannerOf(tree, false);
  const change = list.flow
    ? insertIntoFlow(tree, list, place, flowText(value, manner))
    : insertIntoBlock(tree, list, place, (m) => `-${valueText(value, columnOf(tree.text, list.from), m, 'dash')}`);
  return checked(tree, [change], model);
}

/** Moves an item within its list. */
export function moveItem(text: string, path: Path, from: number, to: number): string {
  const tree = treeOf(text);
  const list = find(tree.root, path);
  if (list?.kind !== 'list' || !list.entries[from] || !list.entries[to]) throw new CannotEdit('There is no such item.');
  if (from === to) return text;
  const spans = list.entries.map((entry, index) =>
    list.flow ? { from: entry.from, to: entryEnd(entry) } : bodyOf(tree, list, index),
  );
  const order = spans.map((_, index) => index);
  order.splice(to, 0, ...order.splice(from, 1));
  const changes = spans.flatMap((span, slot) => {
    const source = spans[order[slot] ?? slot] ?? span;
    return source === span ? [] : [{ ...span, insert: text.slice(source.from, source.to) }];
  });
  return checked(tree, changes, (root) => {
    const items = at(root, path) as Json[];
    items.splice(to, 0, ...items.splice(from, 1));
    return root;
  });
}

/** Gives a key another name; its place and its value stay. */
export function renameKey(text: string, path: Path, name: string): string {
  const tree = treeOf(text);
  const [parent, entry] = placeOf(tree, path);
  if (parent.kind !== 'map') throw new CannotEdit('An item of a list has no name.');
  if (entry.key === name) return text;
  if (entryOf(parent, name)) throw new CannotEdit(`The key ${name} is there already.`);
  const old = text[entry.keyFrom];
  const manner = mannerOf(tree, false);
  const insert =
    old === '"' ? quoted(name) : old === "'" ? (singleQuoted(name) ?? quoted(name)) : keyText(name, manner);
  return checked(tree, [{ from: entry.keyFrom, to: entry.keyTo, insert }], (root) => {
    const owner = at(root, path.slice(0, -1)) as { [key: string]: Json };
    put(owner, name, owner[String(entry.key)] ?? null);
    delete owner[String(entry.key)];
    return root;
  });
}

/** Replaces pieces of a scalar's own characters, for names that stand within expressions. */
export function replaceWithin(text: string, path: Path, value: string, rewrite: (source: string) => string): string {
  const tree = treeOf(text);
  const node = find(tree.root, path);
  if (node?.kind !== 'scalar' || node.value === value) return text;
  const insert = rewrite(text.slice(node.from, node.to));
  const changed = text.slice(0, node.from) + insert + text.slice(node.to);
  const reading = readTree(changed);
  const expected = assign(jsonOf(tree.root), path, value);
  return reading.tree && same(jsonOf(reading.tree.root), expected) ? changed : setAt(text, path, value);
}

/** The one piece in which two texts differ, for an editor's undo. */
export function changeBetween(before: string, after: string): Change | null {
  if (before === after) return null;
  let from = 0;
  while (from < before.length && before[from] === after[from]) from++;
  let end = 0;
  const most = Math.min(before.length, after.length) - from;
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { from, to: before.length - end, insert: after.slice(from, after.length - end) };
}

// --- setting -------------------------------------------------------------------------------------------------

function setMissing(text: string, tree: Tree, path: Path, value: Json, order: readonly string[]): string {
  const key = path.at(-1);
  const above = path.slice(0, -1);
  const parent = find(tree.root, above);
  if (parent?.kind === 'list' && typeof key === 'number') return insertAt(text, above, key, value);
  if (typeof key !== 'string') throw new CannotEdit('There is no list here.');
  if (parent?.kind !== 'map' || parent.bare || parent.entries.length === 0) {
    const rest = parent?.kind === 'map' ? (jsonOf(parent) as { [key: string]: Json }) : {};
    if (parent && parent.kind !== 'map' && jsonOf(parent) !== null) throw new CannotEdit('There is no mapping here.');
    if (parent?.kind === 'map') {
      const [owner, entry] = placeOf(tree, above);
      const whole = { ...rest, [key]: value };
      return checked(tree, [replaceValue(tree, owner, entry, whole)], (root) => assign(root, path, value));
    }
    return setAt(text, above, { [key]: value }, order);
  }
  const before = order.slice(0, Math.max(order.indexOf(key), 0));
  const known = parent.entries.findLastIndex((entry) => before.includes(entry.key));
  const place = known < 0 ? parent.entries.length : known + 1;
  const manner = mannerOf(tree, false);
  const column = columnOf(text, parent.entries[0]?.from ?? 0);
  const change = parent.flow
    ? insertIntoFlow(tree, parent, place, `${flowKey(tree, parent, key, manner)}: ${flowText(value, manner)}`)
    : insertIntoBlock(tree, parent, place, (m) => `${keyText(key, m)}:${valueText(value, column, m, 'key')}`);
  return checked(tree, [change], (root) => assign(root, path, value));
}

function setMapping(text: string, path: Path, node: MapNode, value: { [key: string]: Json }): string {
  const gone = node.entries.filter((entry) => !Object.hasOwn(value, entry.key));
  if (gone.length === node.entries.length || Object.keys(value).length === 0) {
    const tree = treeOf(text);
    const [parent, entry] = placeOf(tree, path);
    return checked(tree, [replaceValue(tree, parent, entry, value)], (root) => assign(root, path, value));
  }
  let changed = text;
  for (const entry of gone) changed = removeAt(changed, [...path, entry.key]);
  for (const [key, item] of Object.entries(value)) changed = setAt(changed, [...path, key], item);
  return changed;
}

function setList(text: string, path: Path, node: ListNode, value: Json[]): string {
  const old = jsonOf(node) as Json[];
  if (old.length === 0 || value.length === 0) {
    const tree = treeOf(text);
    const [parent, entry] = placeOf(tree, path);
    return checked(tree, [replaceValue(tree, parent, entry, value)], (root) => assign(root, path, value));
  }
  const shorter = Math.min(old.length, value.length);
  let head = 0;
  while (head < shorter && same(old[head] ?? null, value[head] ?? null)) head++;
  let tail = 0;
  while (tail < shorter - head && same(old.at(-1 - tail) ?? null, value.at(-1 - tail) ?? null)) tail++;
  let changed = text;
  for (let index = head; index < shorter - tail; index++)
    changed = setAt(changed, [...path, index], value[index] ?? null);
  for (let index = old.length - tail - 1; index >= value.length - tail; index--)
    changed = removeAt(changed, [...path, index]);
  for (let index = old.length - tail; index < value.length - tail; index++) {
    changed = insertAt(changed, path, index, value[index] ?? null);
  }
  return changed;
}

/** Writes another value where an entry has one. */
function replaceValue(tree: Tree, parent: MapNode | ListNode, entry: Entry, value: Json): Change {
  const { text } = tree;
  const node = entry.value;
  const end = valueEnd(text, entry);
  const manner = mannerOf(tree, commentFollows(text, end, columnOf(text, entry.from)));
  if (parent.flow) {
    const insert = isCollection(value) ? flowText(value, manner) : restyled(node, value, manner);
    if (entry.slot < 0) return { from: entry.keyTo, to: entry.keyTo, insert: `: ${insert}` };
    return node.kind === 'scalar' && node.style === 'none'
      ? { from: entry.slot, to: entry.slot, insert: ` ${insert}` }
      : { from: node.from, to: node.to, insert };
  }
  const below = parent.kind === 'map' ? 'key' : 'dash';
  const column = columnOf(text, entry.from);
  if (isCollection(value)) {
    const oneLine = Object.keys(value).length === 0 || manner.json || isShortList(value);
    if (oneLine && node.kind === 'scalar' && node.style !== 'none' && node.style !== 'block') {
      return { from: node.from, to: node.to, insert: flowText(value, manner) };
    }
    if (node.kind !== 'scalar' && node.flow && node.entries.length > 0) {
      return { from: node.from, to: node.to, insert: flowText(value, manner) };
    }
    return atSlot(text, entry, end, valueText(value, column, manner, below));
  }
  if (node.kind !== 'scalar' || node.style === 'none') {
    return atSlot(text, entry, end, valueText(value, column, manner, below));
  }
  const deeper = column + (below === 'dash' ? 2 : manner.indent);
  const plainOld = node.style === 'plain' || node.style === 'block';
  const literal = typeof value === 'string' && plainOld ? literalText(value, deeper, manner) : null;
  return { from: node.from, to: end, insert: literal ?? restyled(node, value, manner) };
}

/** A comment beside the key stays beside it. */
function atSlot(text: string, entry: Entry, end: number, insert: string): Change {
  const line = text.slice(entry.slot, Math.max(end, entry.slot));
  const comment = /^[ \t]+#[^\r\n]*/.exec(line === '' ? (text.slice(entry.slot).split(/\r?\n/)[0] ?? '') : line);
  if (comment && /^\r?\n/.test(insert)) {
    const from = entry.slot + comment[0].length;
    return { from, to: Math.max(end, from), insert };
  }
  if (comment && end > entry.slot) {
    const head = /^[^\r\n]*/.exec(insert)?.[0] ?? ''; // behind `|`, not behind the last line of the text
    return { from: entry.slot, to: end, insert: head + comment[0] + insert.slice(head.length) };
  }
  return { from: entry.slot, to: end, insert };
}

function restyled(node: TreeNode, value: Json, manner: Manner): string {
  if (typeof value !== 'string' || isCollection(value)) return flowText(value, manner);
  const style = (node as ScalarNode).style;
  if (style === 'double') return quoted(value);
  if (style === 'single') return singleQuoted(value) ?? quoted(value);
  return scalarText(value, manner);
}

// --- blocks --------------------------------------------------------------------------------------------------

function insertIntoBlock(
  tree: Tree,
  node: MapNode | ListNode,
  index: number,
  write: (manner: Manner) => string,
): Change {
  const { text } = tree;
  const column = columnOf(text, node.entries[0]?.from ?? 0);
  const pad = ' '.repeat(column);
  const manner = mannerOf(tree, false);
  const { newline } = manner;
  const spaced = hasBlankGaps(tree, node) ? newline : '';
  if (index === 0) {
    const first = extentOf(tree, node, 0);
    if (!first.alone)
      return {
        from: first.from,
        to: first.from,
        insert: `${write({ ...manner, literal: false })}${newline}${spaced}${pad}`,
      };
    return {
      from: first.from,
      to: first.from,
      insert: `${pad}${write({ ...manner, literal: false })}${newline}${spaced}`,
    };
  }
  const { to } = extentOf(tree, node, index - 1);
  const quiet = mannerOf(tree, commentFollows(text, to - 1, column));
  const open = to === text.length && !text.endsWith('\n');
  const body = `${pad}${write(quiet)}`;
  return { from: to, to, insert: open ? `${newline}${spaced}${body}` : `${spaced}${body}${newline}` };
}

function removeFromBlock(tree: Tree, node: MapNode | ListNode, index: number): Change[] {
  const { text } = tree;
  const extent = extentOf(tree, node, index);
  if (extent.alone) {
    if (extent.to === text.length && !text.endsWith('\n')) {
      return [{ from: beforeBreak(text, extent.from), to: extent.to, insert: '' }];
    }
    return [{ from: extent.from, to: extent.to, insert: '' }];
  }
  const next = extentOf(tree, node, index + 1);
  const entry = node.entries[index + 1];
  if (entry && next.from <= extent.to && isIndentOnly(text, extent.to, entry.from)) {
    return [{ from: extent.from, to: entry.from, insert: '' }];
  }
  return [{ from: extent.from, to: beforeBreak(text, extent.to), insert: '' }];
}

function beforeBreak(text: string, at: number): number {
  const line = text[at - 1] === '\n' ? at - 1 : at;
  return text[line - 1] === '\r' ? line - 1 : line;
}

/** An item as it can stand in any place of its list: from its first comment, without the last line break. */
function bodyOf(tree: Tree, list: ListNode, index: number): { from: number; to: number } {
  const extent: Extent = extentOf(tree, list, index);
  const column = columnOf(tree.text, list.entries[0]?.from ?? 0);
  return { from: extent.alone ? extent.from + column : extent.from, to: beforeBreak(tree.text, extent.to) };
}

// --- brackets and braces -------------------------------------------------------------------------------------

function flowKey(tree: Tree, node: MapNode, key: string, manner: Manner): string {
  const first = node.entries[0];
  return first && tree.text[first.keyFrom] === '"' ? quoted(key) : keyText(key, manner);
}

function insertIntoFlow(tree: Tree, node: MapNode | ListNode, index: number, piece: string): Change {
  const { text } = tree;
  const { newline } = mannerOf(tree, false);
  const next = node.entries[index];
  const alone = (entry: Entry): string =>
    isAlone(text, entry.from) ? newline + ' '.repeat(columnOf(text, entry.from)) : ' ';
  if (next) return { from: next.from, to: next.from, insert: `${piece},${alone(next)}` };
  const last = node.entries.at(-1) as Entry;
  const end = entryEnd(last);
  return { from: end, to: end, insert: `,${alone(last)}${piece}` };
}

function removeFromFlow(tree: Tree, node: MapNode | ListNode, index: number): Change[] {
  const { text } = tree;
  const entry = node.entries[index] as Entry;
  const next = node.entries[index + 1];
  if (next) {
    const between = text.slice(entryEnd(entry), next.from);
    const line = between.indexOf('\n');
    if (!between.includes('#') || line < 0) return [{ from: entry.from, to: next.from, insert: '' }];
    const rest = /^\s*/.exec(between.slice(line + 1))?.[0].length ?? 0;
    return [{ from: entry.from, to: entryEnd(entry) + line + 1 + rest, insert: '' }];
  }
  const last = node.entries[index - 1] as Entry;
  const end = entryEnd(last);
  if (!text.slice(end, entry.from).includes('#')) return [{ from: end, to: entryEnd(entry), insert: '' }];
  const behind = skipBlank(text, entryEnd(entry));
  if (text[behind] === ',') return [{ from: entry.from, to: behind + 1, insert: '' }];
  const comma = skipBlank(text, end);
  const lead = /[ \t]*$/.exec(text.slice(comma + 1, entry.from))?.[0].length ?? 0;
  return [
    { from: comma, to: comma + 1, insert: '' },
    { from: entry.from - lead, to: entryEnd(entry), insert: '' },
  ];
}

// --- the way of the document ---------------------------------------------------------------------------------

function mannerOf(tree: Tree, comment: boolean): Manner {
  const { text, root } = tree;
  const first = root.entries[0];
  const nested = root.entries.find(
    (entry) => entry.value.kind !== 'scalar' && !entry.value.flow && entry.value.entries.length > 0,
  );
  const lists = root.entries.find((entry) => entry.value.kind === 'list' && !entry.value.flow);
  const width = nested && nested.value.kind === 'map' ? columnOf(text, nested.value.from) : 2;
  return {
    newline: /\r\n/.test(text) ? '\r\n' : '\n',
    json: root.flow && first !== undefined && text[first.keyFrom] === '"',
    indent: Math.max(width, 1),
    indentLists: !lists || columnOf(text, lists.value.from) > 0,
    literal: !comment,
  };
}

/** Whether a comment stands behind the value, or below it and deeper than its key. */
function commentFollows(text: string, end: number, column: number): boolean {
  const [rest = '', ...lines] = text.slice(end, end + 4_000).split(/\r?\n/);
  if (/#/.test(rest)) return true;
  const next = lines.find((line) => line.trim() !== '');
  return next !== undefined && /^\s*#/.test(next) && next.search(/\S/) > column;
}

/** Where the value ends, without the line break of a text below `|`. */
function valueEnd(text: string, entry: Entry): number {
  const end = entryEnd(entry);
  return text[end - 1] === '\n' ? beforeBreak(text, end) : end;
}

function placeOf(tree: Tree, path: Path): [MapNode | ListNode, Entry] {
  const parent = find(tree.root, path.slice(0, -1));
  const key = path.at(-1);
  const entry = parent && key !== undefined ? entryOf(parent, key) : null;
  if (!parent || parent.kind === 'scalar' || !entry) throw new CannotEdit(`There is nothing at ${path.join('.')}.`);
  return [parent, entry];
}

// --- what is meant -------------------------------------------------------------------------------------------

function checked(tree: Tree, changes: Change[], meant: (root: Json) => Json): string {
  let text = tree.text;
  for (const change of [...changes].sort((a, b) => b.from - a.from)) {
    text = text.slice(0, change.from) + change.insert + text.slice(change.to);
  }
  const reading = readTree(text);
  if (reading.tree && same(jsonOf(reading.tree.root), meant(jsonOf(tree.root)))) return text;
  throw new CannotEdit('This cannot be changed here without touching more; change it in the text.');
}

function isMapping(value: Json): value is { [key: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function at(root: Json, path: Path): Json {
  let here: Json = root;
  for (const part of path) here = (here as { [key: string]: Json })[part] ?? null;
  return here;
}

function put(owner: { [key: string]: Json }, key: string, value: Json): void {
  Object.defineProperty(owner, key, { value, enumerable: true, writable: true, configurable: true });
}

function assign(root: Json, path: Path, value: Json): Json {
  let here = root as { [key: string]: Json };
  for (const part of path.slice(0, -1)) here = here[part] as { [key: string]: Json };
  const key = path.at(-1);
  if (Array.isArray(here)) here[Number(key)] = value;
  else put(here, String(key), value);
  return root;
}

function take(root: Json, path: Path): Json {
  const owner = at(root, path.slice(0, -1)) as { [key: string]: Json };
  const key = path.at(-1);
  if (Array.isArray(owner)) owner.splice(Number(key), 1);
  else delete owner[String(key)];
  return root;
}

function without(value: { [key: string]: Json }, key: string): { [key: string]: Json } {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
}

export function same(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (!isCollection(a) || !isCollection(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && same((a as never)[key], (b as never)[key]));
}
