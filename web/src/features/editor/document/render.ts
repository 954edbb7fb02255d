/** Writes values as YAML that reads back as the same values, in the platform's reader and in any other. */
import { readsAsText, type Json } from './tree';

/** How the document around the new text is written. */
export interface Manner {
  newline: string;
  /** Only JSON: every key and text in double quotes, collections in brackets. */
  json: boolean;
  indent: number;
  /** Whether the dashes of a list stand deeper than its key. */
  indentLists: boolean;
  /** Whether several lines of text may stand below `|`; not where a comment follows, it would become text. */
  literal: boolean;
}

/** Other readers of YAML take these for booleans. */
const ELSEWHERE_NOT_TEXT = /^(?:y|n|yes|no|on|off|true|false|null)$/i;
const PLAIN = /^[\p{L}_/][\p{L}\p{N}_/ .@+*()<>=!|;~$^-]*$/u;
const PLAIN_DIGITS = /^\d+(?:[a-zA-Z]+\d*)+$/;
const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;
const LITERAL = /^(?![ \t\n])(?:[\t\n]|[^\p{Cc}\u2028\u2029\ufeff])*$/u;

export function quoted(text: string): string {
  return JSON.stringify(text).replace(UNPRINTABLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function singleQuoted(text: string): string | null {
  return /^[^\p{C}\u2028\u2029]*$/u.test(text) ? `'${text.replaceAll("'", "''")}'` : null;
}

export function isPlainText(text: string): boolean {
  if (!readsAsText(text) || ELSEWHERE_NOT_TEXT.test(text) || text.endsWith(' ')) return false;
  return PLAIN_DIGITS.test(text) || PLAIN.test(text);
}

export function keyText(key: string, manner: Manner): string {
  return !manner.json && PLAIN_KEY.test(key) && readsAsText(key) && !ELSEWHERE_NOT_TEXT.test(key) ? key : quoted(key);
}

function numberText(value: number): string {
  const text = String(value);
  return /^-?\d{19,}$/.test(text) ? value.toExponential() : text;
}

/** A scalar on one line. */
export function scalarText(value: null | boolean | number | string, manner: Manner): string {
  if (typeof value === 'string') return !manner.json && isPlainText(value) ? value : quoted(value);
  return typeof value === 'number' ? numberText(value) : String(value);
}

/** Any value on one line. */
export function flowText(value: Json, manner: Manner): string {
  if (Array.isArray(value)) return `[${value.map((item) => flowText(item, manner)).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const parts = Object.entries(value).map(([key, item]) => `${keyText(key, manner)}: ${flowText(item, manner)}`);
    return `{${parts.join(', ')}}`;
  }
  return scalarText(value, manner);
}

function isEmpty(value: Json): boolean {
  return value !== null && typeof value === 'object' && Object.keys(value).length === 0;
}

/** Such as `needs: [a, b]`. */
export function isShortList(value: Json): boolean {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.every((item) => typeof item === 'string' && isPlainText(item)) && value.join(', ').length <= 60;
}

export function isCollection(value: Json): value is Json[] | { [key: string]: Json } {
  return value !== null && typeof value === 'object';
}

/** Several lines of text below `|`, or null when they cannot stand so. */
export function literalText(value: string, indent: number, manner: Manner): string | null {
  if (!manner.literal || !value.includes('\n') || !LITERAL.test(value)) return null;
  const ends = value.endsWith('\n');
  const lines = (ends ? value.slice(0, -1) : value).split('\n');
  if (lines.at(-1) === '' || lines.some((line) => /^[ \t]+$/.test(line))) return null;
  const pad = ' '.repeat(indent);
  return [ends ? '|' : '|-', ...lines.map((line) => (line === '' ? '' : pad + line))].join(manner.newline);
}

/**
 * What stands after `key:` or `-`, with the space or the line break it needs.
 * `column` is where the key or the dash stands; no line break at the end.
 */
export function valueText(value: Json, column: number, manner: Manner, below: 'key' | 'dash'): string {
  if (manner.json) return ` ${flowText(value, manner)}`;
  if (isCollection(value) && !isEmpty(value) && !isShortList(value)) {
    if (below === 'dash') return ` ${blockText(value, column + 2, manner)}`;
    const inner = Array.isArray(value) && !manner.indentLists ? column : column + manner.indent;
    return `${manner.newline}${' '.repeat(inner)}${blockText(value, inner, manner)}`;
  }
  if (typeof value === 'string') {
    const literal = literalText(value, column + (below === 'dash' ? 2 : manner.indent), manner);
    if (literal !== null) return ` ${literal}`;
  }
  return ` ${flowText(value, manner)}`;
}

/** The entries of a collection that is not empty, the first one without its indentation. */
export function blockText(value: Json[] | { [key: string]: Json }, column: number, manner: Manner): string {
  const entries = Array.isArray(value)
    ? value.map((item) => `-${valueText(item, column, manner, 'dash')}`)
    : Object.entries(value).map(([key, item]) => `${keyText(key, manner)}:${valueText(item, column, manner, 'key')}`);
  return entries.join(manner.newline + ' '.repeat(column));
}
