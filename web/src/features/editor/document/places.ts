/** Which lines of the text belong to an entry of a block: its own, the comments above it and those deeper below. */
import type { Entry, ListNode, MapNode, Tree } from './tree';

export interface Extent {
  /** The start of its first line when it stands alone on it, else where it begins. */
  from: number;
  /** After its last line break. */
  to: number;
  alone: boolean;
}

export function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1;
}

export function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}

export function columnOf(text: string, at: number): number {
  return at - lineStart(text, at);
}

/** Whether nothing but blanks stands before it on its line. */
export function isAlone(text: string, at: number): boolean {
  return isIndentOnly(text, lineStart(text, at), at);
}

export function isIndentOnly(text: string, from: number, to: number): boolean {
  return /^[ \t]*$/.test(text.slice(from, to));
}

export function entryEnd(entry: Entry): number {
  return Math.max(entry.value.to, entry.slot, entry.keyTo);
}

export function extentOf(tree: Tree, node: MapNode | ListNode, index: number): Extent {
  const { text } = tree;
  const entry = node.entries[index] as Entry;
  const column = columnOf(text, entry.from);
  const end = entryEnd(entry);
  const to = deeperComments(text, text[end - 1] === '\n' && end > entry.slot ? end : lineEnd(text, end), column);
  if (!isAlone(text, entry.from)) return { from: entry.from, to, alone: false };
  const first = lineStart(text, entry.from);
  const heading = node === tree.root && index === 0; // what stands above the first key is about the whole flow
  return { from: heading ? first : commentsAbove(text, first, column), to, alone: true };
}

function deeperComments(text: string, from: number, column: number): number {
  let to = from;
  for (let at = from; at < text.length;) {
    const end = lineEnd(text, at);
    const line = text.slice(at, end);
    if (/^\s*#/.test(line) && line.search(/\S/) > column) to = end;
    else if (line.trim() !== '') break;
    at = end;
  }
  return to;
}

function commentsAbove(text: string, line: number, column: number): number {
  let from = line;
  while (from > 0) {
    const above = lineStart(text, from - 1);
    const words = text.slice(above, from);
    if (!/^[ \t]*#/.test(words) || words.search(/\S/) !== column) break;
    from = above;
  }
  return from;
}

/** Whether a blank line stands between all entries. */
export function hasBlankGaps(tree: Tree, node: MapNode | ListNode): boolean {
  if (node.entries.length < 2) return false;
  return node.entries.slice(1).every((_, index) => {
    const gap = tree.text.slice(extentOf(tree, node, index).to, extentOf(tree, node, index + 1).from);
    return /^[ \t]*\r?\n/.test(gap);
  });
}

/** The next character that is neither blank nor comment. */
export function skipBlank(text: string, from: number): number {
  const rest = /^(?:\s|#[^\n]*)*/.exec(text.slice(from));
  return from + (rest?.[0].length ?? 0);
}
