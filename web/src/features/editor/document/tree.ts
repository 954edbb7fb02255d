/**
 * Reads the text of a flow into a tree that knows where everything stands.
 *
 * It takes and refuses what the platform takes and refuses (server/monjolo/flow_document/parse.py): no anchors,
 * aliases, tags, merge keys or duplicate keys, one document, values that JSON knows.
 */
import { CST, Document, isAlias, isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import type { Pair, ParsedNode, YAMLMap, YAMLSeq } from 'yaml';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Path = readonly (string | number)[];

export interface Problem {
  code: string;
  message: string;
  line: number;
  column: number;
}

/** `none`: nothing is written, as after the colon of an empty key. */
export type ScalarStyle = 'plain' | 'single' | 'double' | 'block' | 'none';

export interface ScalarNode {
  kind: 'scalar';
  from: number;
  to: number;
  value: null | boolean | number | string;
  style: ScalarStyle;
}

/** An entry begins at `from`: its dash, its `?`, or its key. */
export interface Entry<Key extends string | number = string | number> {
  key: Key;
  from: number;
  keyFrom: number;
  keyTo: number;
  /** After the dash or the colon; -1 when a flow mapping has a key without a colon. */
  slot: number;
  value: TreeNode;
}

export interface MapNode {
  kind: 'map';
  from: number;
  to: number;
  flow: boolean;
  /** A mapping in a flow list without braces, as in `[a: 1]`. */
  bare: boolean;
  entries: Entry<string>[];
}

export interface ListNode {
  kind: 'list';
  from: number;
  to: number;
  flow: boolean;
  entries: Entry<number>[];
}

export type TreeNode = ScalarNode | MapNode | ListNode;

export interface Tree {
  text: string;
  root: MapNode;
}

export type Reading = { tree: Tree; problem: null } | { tree: null; problem: Problem };

const LONGEST = 1024 * 1024;
const DEEPEST = 64;
const MOST = 50_000;
const INT64 = 2n ** 63n;

const NULLS = new Set(['', '~', 'null', 'Null', 'NULL']);
const TRUES = new Set(['true', 'True', 'TRUE']);
const FALSES = new Set(['false', 'False', 'FALSE']);
const INTEGER = /^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const NOT_JSON = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

/** Never throws for bad text: the problem says what and where. */
export function readTree(text: string): Reading {
  if (new TextEncoder().encode(text).length > LONGEST) {
    return fault('document_too_large', 'A flow may be at most 1 MiB; split it into sub-flows.', 1, 1);
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments<ParsedNode>(text, {
    version: '1.2',
    schema: 'failsafe',
    keepSourceTokens: true,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    lineCounter: lines,
  });
  const documents: Document<ParsedNode>[] = Array.isArray(parsed) ? parsed : [];
  try {
    for (const document of documents) {
      const [error] = document.errors;
      if (error) throw new Refused('syntax_error', `This is not valid YAML: ${error.message}.`, error.pos[0]);
    }
    const [first, second] = documents;
    if (!first?.contents || (isScalar(first.contents) && !first.contents.source && isPlain(first.contents))) {
      throw new Refused('empty', 'The document is empty.', 0);
    }
    if (second) throw new Refused('many_documents', 'A file holds one flow.', second.range?.[0] ?? 0);
    const root = new Reader(text).node(first.contents, 1);
    if (root.kind !== 'map') {
      throw new Refused(
        'not_a_mapping',
        'A flow is a mapping of keys such as `id`, `name` and `steps`; this is something else.',
        0,
      );
    }
    return { tree: { text, root }, problem: null };
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    const { line, col } = lines.linePos(Math.min(refused.at, text.length));
    return fault(refused.code, refused.message, Math.max(line, 1), Math.max(col, 1));
  }
}

function fault(code: string, message: string, line: number, column: number): Reading {
  return { tree: null, problem: { code, message, line, column } };
}

function isPlain(node: { type?: string }): boolean {
  return node.type === undefined || node.type === 'PLAIN';
}

class Reader {
  private count = 0;

  constructor(private readonly text: string) {}

  node(node: ParsedNode | null, depth: number, at = 0): TreeNode {
    if (node === null) return { kind: 'scalar', from: at, to: at, value: null, style: 'none' };
    const from = node.range[0];
    if (++this.count > MOST) throw new Refused('too_many_nodes', `A flow may hold at most ${MOST} values.`, from);
    if (isAlias(node)) {
      throw new Refused('alias', `The alias \`*${node.source}\` is not taken; write the value out.`, from);
    }
    this.check(node, from);
    if (isScalar(node)) return this.scalar(node);
    if (depth > DEEPEST) throw new Refused('too_deep', `A flow may nest at most ${DEEPEST} levels.`, from);
    return isMap(node) ? this.map(node, depth) : this.list(node as YAMLSeq.Parsed, depth);
  }

  private check(node: object, at: number): void {
    const { anchor, tag } = node as { anchor?: string; tag?: string };
    if (anchor !== undefined) {
      const message = `The anchor \`&${anchor}\` is not taken; write the value out where it is needed.`;
      throw new Refused('anchor', message, at);
    }
    if (tag !== undefined) throw new Refused('tag', `The tag \`${tag}\` is not taken; write plain values.`, at);
  }

  private scalar(node: ParsedNode & { source?: string; type?: string; value?: unknown }): ScalarNode {
    const [from, to] = node.range;
    const styles: Record<string, ScalarStyle> = {
      QUOTE_DOUBLE: 'double',
      QUOTE_SINGLE: 'single',
      BLOCK_LITERAL: 'block',
      BLOCK_FOLDED: 'block',
    };
    const style = styles[node.type ?? 'PLAIN'] ?? 'plain';
    const source = String(node.source ?? '');
    if (style !== 'plain') return { kind: 'scalar', from, to, value: source, style };
    if (source === '') return { kind: 'scalar', from, to: from, value: null, style: 'none' };
    return { kind: 'scalar', from, to, value: plainValue(source, from), style };
  }

  private map(node: YAMLMap.Parsed, depth: number): MapNode {
    const flow = Boolean(node.flow);
    const entries: Entry<string>[] = [];
    const seen = new Set<string>();
    for (const pair of node.items as Pair<ParsedNode, ParsedNode | null>[]) {
      const entry = this.entry(pair, depth);
      if (seen.has(entry.key)) {
        throw new Refused('duplicate_key', `The key \`${entry.key}\` stands twice; keep one.`, entry.keyFrom);
      }
      seen.add(entry.key);
      entries.push(entry);
    }
    const bare = flow && this.text[node.range[0]] !== '{';
    return { kind: 'map', ...extent(node, flow, entries), flow, bare, entries };
  }

  private entry(pair: Pair<ParsedNode, ParsedNode | null>, depth: number): Entry<string> {
    const { key, srcToken } = pair;
    if (!isScalar(key)) throw new Refused('key_not_text', 'A key must be text.', key?.range[0] ?? 0);
    this.check(key, key.range[0]);
    const text = String(key.source ?? key.value ?? '');
    const [keyFrom, keyTo] = key.range;
    if (text === '<<' && isPlain(key)) {
      throw new Refused('merge_key', 'The merge key `<<` is not taken; write the keys out.', keyFrom);
    }
    const ask = srcToken?.start.find((token) => token.type === 'explicit-key-ind');
    const colon = srcToken?.sep?.find((token) => token.type === 'map-value-ind');
    const slot = colon ? colon.offset + 1 : -1;
    const value = this.node(pair.value, depth + 1, slot < 0 ? keyTo : slot);
    const placed =
      value.kind === 'scalar' && value.style === 'none' && slot >= 0 ? { ...value, from: slot, to: slot } : value;
    return { key: text, from: ask?.offset ?? keyFrom, keyFrom, keyTo, slot, value: placed };
  }

  private list(node: YAMLSeq.Parsed, depth: number): ListNode {
    const flow = Boolean(node.flow);
    const tokens = (node.srcToken as CST.BlockSequence | CST.FlowCollection | undefined)?.items ?? [];
    const entries = (node.items as ParsedNode[]).map((item, index): Entry<number> => {
      const dash = tokens[index]?.start.find((token) => token.type === 'seq-item-ind');
      const slot = flow || !dash ? item.range[0] : dash.offset + 1;
      const value = this.node(item, depth + 1, slot);
      const placed = value.kind === 'scalar' && value.style === 'none' ? { ...value, from: slot, to: slot } : value;
      return {
        key: index,
        from: flow || !dash ? item.range[0] : dash.offset,
        keyFrom: slot,
        keyTo: slot,
        slot,
        value: placed,
      };
    });
    return { kind: 'list', ...extent(node, flow, entries), flow, entries };
  }
}

function extent(node: ParsedNode, flow: boolean, entries: Entry[]): { from: number; to: number } {
  const from = node.range[0];
  if (flow) return { from, to: node.range[1] };
  const last = entries.at(-1);
  return { from: entries[0]?.from ?? from, to: last ? Math.max(last.value.to, last.slot, last.keyTo) : node.range[1] };
}

function plainValue(source: string, at: number): null | boolean | number | string {
  if (NULLS.has(source)) return null;
  if (TRUES.has(source)) return true;
  if (FALSES.has(source)) return false;
  if (INTEGER.test(source)) {
    const digits = source.replace(/^[-+]/, '');
    const whole = digits.length <= 24 ? BigInt(digits) : INT64;
    const signed = source.startsWith('-') ? -whole : whole;
    if (signed < -INT64 || signed >= INT64) {
      const message = `${source.slice(0, 40)} does not fit 64 bits; put it in quotes to keep it as text.`;
      throw new Refused('number_too_large', message, at);
    }
    return Number(signed);
  }
  if (FLOAT.test(source)) {
    const number = Number(source);
    if (!Number.isFinite(number)) {
      throw new Refused('number_too_large', `${source.slice(0, 40)} is larger than a number can be.`, at);
    }
    return number;
  }
  if (NOT_JSON.test(source)) {
    throw new Refused('not_json', `${source} is not a JSON number; put it in quotes.`, at);
  }
  return source;
}

/** Whether this text, written without quotes, is read as text. */
export function readsAsText(text: string): boolean {
  return ![NULLS, TRUES, FALSES].some((set) => set.has(text)) && ![INTEGER, FLOAT, NOT_JSON].some((p) => p.test(text));
}

export function jsonOf(node: TreeNode): Json {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.entries.map((entry) => jsonOf(entry.value));
  const out: { [key: string]: Json } = {};
  for (const entry of node.entries) {
    Object.defineProperty(out, entry.key, {
      value: jsonOf(entry.value),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return out;
}

export function find(root: TreeNode, path: Path): TreeNode | null {
  let node: TreeNode = root;
  for (const part of path) {
    const entry = entryOf(node, part);
    if (!entry) return null;
    node = entry.value;
  }
  return node;
}

export function entryOf(node: TreeNode, key: string | number): Entry | null {
  if (node.kind === 'scalar') return null;
  if (node.kind === 'list') return typeof key === 'number' ? (node.entries[key] ?? null) : null;
  return node.entries.find((entry) => entry.key === key) ?? null;
}
