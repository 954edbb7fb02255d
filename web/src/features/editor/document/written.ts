/**
 * Documents as people write them, for the tests: comments, blank lines, quotes and brackets by chance, and for each
 * line whose it is. It shares nothing with what it tests.
 */
import type { Json, Path } from './tree';

export interface Line {
  text: string;
  owners: Path[];
}

export interface Written {
  value: { [key: string]: Json };
  text: string;
  lines: Line[];
  comments: { text: string; owner: Path }[];
  /** Whether the collection at a path stands in brackets. */
  flow: (path: Path) => boolean;
}

export function written(value: { [key: string]: Json }, seed: number): Written {
  return new Writer(seed).write(value);
}

function allBelow(item: Json, path: Path): Path[] {
  if (item === null || typeof item !== 'object') return [path];
  const keys: (string | number)[] = Array.isArray(item) ? [...item.keys()] : Object.keys(item);
  return [path, ...keys.flatMap((key) => allBelow((item as never)[key], [...path, key]))];
}

class Writer {
  private readonly lines: Line[] = [];
  private readonly comments: { text: string; owner: Path }[] = [];
  private readonly inBrackets = new Set<string>();
  private readonly indent: number;
  private readonly deepLists: boolean;
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
    this.indent = this.chance(0.8) ? 2 : 4;
    this.deepLists = this.chance(0.7);
  }

  write(value: { [key: string]: Json }): Written {
    if (this.chance(0.3)) this.line(this.comment([]), []);
    if (this.chance(0.1)) this.line('---', []);
    this.map(value, 0, [], null);
    const newline = this.chance(0.15) ? '\r\n' : '\n';
    const last = this.lines.at(-1)?.text ?? '';
    const open = !/^\s*$/.test(last) && this.chance(0.2) && !this.keeps;
    const text = this.lines.map((line) => line.text).join(newline) + (open ? '' : newline);
    const flow = (path: Path): boolean =>
      path.some((_, n) => this.inBrackets.has(JSON.stringify(path.slice(0, n + 1))));
    return { value, text, lines: this.lines, comments: this.comments, flow };
  }

  private keeps = false;

  private chance(share: number): boolean {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296 < share;
  }

  private comment(owner: Path): string {
    const text = `# c${this.comments.length}_`;
    this.comments.push({ text, owner });
    return text;
  }

  private line(text: string, ...owners: Path[]): void {
    this.lines.push({ text, owners });
  }

  private before(column: number, path: Path): void {
    const pad = ' '.repeat(column);
    if (this.chance(0.15)) this.line('', path.slice(0, -1));
    if (this.chance(0.15)) this.line(pad + this.comment(path), path);
  }

  private after(column: number, path: Path): void {
    if (this.keeps || !this.chance(0.08)) return;
    const blank = this.chance(0.3);
    if (blank) this.line('', path);
    this.line(' '.repeat(column + 1) + this.comment(path), path);
  }

  /** `lead`: what stands on the first line already, as `- `; with whose it is. */
  private map(
    value: { [key: string]: Json },
    column: number,
    path: Path,
    lead: { text: string; owners: Path[] } | null,
  ): void {
    let first = lead;
    for (const [key, item] of Object.entries(value)) {
      const own = [...path, key];
      if (!first) this.before(column, own);
      const start = first ? first.text : ' '.repeat(column);
      const owners = first ? first.owners : [];
      first = null;
      this.entry(`${start}${this.key(key)}:`, [...owners, own], item, column, own, 'key');
      const flush = Array.isArray(item) && !this.deepLists; // below it, nobody could say whose a comment is
      if (!flush) this.after(column, own);
    }
  }

  private list(value: Json[], column: number, path: Path, lead: { text: string; owners: Path[] } | null): void {
    let first = lead;
    value.forEach((item, index) => {
      const own = [...path, index];
      if (!first) this.before(column, own);
      const start = first ? first.text : ' '.repeat(column);
      const owners = first ? first.owners : [];
      first = null;
      this.entry(`${start}-`, [...owners, own], item, column, own, 'dash');
      this.after(column, own);
    });
  }

  private entry(start: string, owners: Path[], item: Json, column: number, own: Path, below: 'key' | 'dash'): void {
    this.keeps = false;
    const collection = item !== null && typeof item === 'object';
    const empty = collection && Object.keys(item).length === 0;
    if (!collection) return this.scalar(start, owners, item, column, own);
    if (empty || this.chance(0.25)) {
      this.inBrackets.add(JSON.stringify(own));
      return this.bracketed(start, owners, item, column, own);
    }
    if (below === 'dash' && this.chance(0.85)) {
      const gap = ' '.repeat(this.chance(0.9) ? 1 : 3);
      const lead = { text: start + gap, owners };
      const inner = start.length + gap.length;
      if (Array.isArray(item)) this.list(item, inner, own, lead);
      else this.map(item, inner, own, lead);
      return;
    }
    const tail = this.chance(0.15) ? ` ${this.comment(own)}` : '';
    this.line(start + tail, ...owners);
    const inner = Array.isArray(item) && below === 'key' && !this.deepLists ? column : column + this.indent;
    if (Array.isArray(item)) this.list(item, inner, own, null);
    else this.map(item, inner, own, null);
  }

  private scalar(
    start: string,
    owners: Path[],
    item: null | boolean | number | string,
    column: number,
    own: Path,
  ): void {
    if (typeof item === 'string' && /\n/.test(item) && this.literal(start, owners, item, column, own)) return;
    const tail = this.chance(0.15) ? `  ${this.comment(own)}` : '';
    if (item === null && this.chance(0.4)) return this.line(start + tail, ...owners);
    const gap = ' '.repeat(this.chance(0.9) ? 1 : 4);
    this.line(start + gap + this.oneLine(item) + tail, ...owners);
  }

  private literal(start: string, owners: Path[], item: string, column: number, own: Path): boolean {
    const body = item.replace(/\n$/, '');
    if (!/^[^\s\u0085\u2028]/.test(body) || /\n$/.test(body) || /[\t\u0085\u2028]/.test(item) || /^ +$/m.test(item))
      return false;
    if (!this.chance(0.7)) return false;
    this.line(`${start} ${item.endsWith('\n') ? '|' : '|-'}`, ...owners);
    const pad = ' '.repeat(column + this.indent);
    for (const line of body.split('\n')) this.line(line === '' ? '' : pad + line, own);
    this.keeps = true; // a comment below would become text
    return true;
  }

  private bracketed(start: string, owners: Path[], item: Json, column: number, own: Path): void {
    const parts = this.parts(item, own);
    const [open, close] = Array.isArray(item) ? ['[', ']'] : ['{', '}'];
    if (parts.length > 0 && this.chance(0.3)) {
      this.line(`${start} ${open}${this.chance(0.2) ? ` ${this.comment(own)}` : ''}`, ...owners);
      const pad = ' '.repeat(column + 2);
      parts.forEach((part, index) => {
        const comma = index < parts.length - 1 || this.chance(0.2) ? ',' : '';
        if (this.chance(0.1)) this.line(pad + this.comment(part.path), part.path);
        const tail = this.chance(0.15) ? ` ${this.comment(part.path)}` : '';
        this.line(`${pad}${part.text}${comma}${tail}`, ...allBelow(part.item, part.path));
      });
      return this.line(`${' '.repeat(column + 1)}${close}`, own);
    }
    const space = this.chance(0.3) && parts.length > 0 ? ' ' : '';
    const tail = this.chance(0.1) ? ` ${this.comment(own)}` : '';
    const inside = parts.map((part) => part.text).join(this.chance(0.8) ? ', ' : ' , ');
    this.line(`${start} ${open}${space}${inside}${space}${close}${tail}`, ...owners, ...allBelow(item, own));
  }

  private parts(item: Json, own: Path): { text: string; path: Path; item: Json }[] {
    if (Array.isArray(item)) {
      return item.map((each, index) => ({ text: this.inside(each), path: [...own, index], item: each }));
    }
    return Object.entries(item as object).map(([key, each]) => {
      const text =
        each === null && this.chance(0.3) ? `${this.key(key)}:` : `${this.key(key)}: ${this.inside(each as Json)}`;
      return { text, path: [...own, key], item: each as Json };
    });
  }

  private inside(item: Json): string {
    if (Array.isArray(item)) return `[${item.map((each) => this.inside(each)).join(', ')}]`;
    if (item === null || typeof item !== 'object') return this.oneLine(item);
    return `{${Object.entries(item)
      .map(([key, each]) => `${this.key(key)}: ${this.inside(each)}`)
      .join(', ')}}`;
  }

  private key(key: string): string {
    return /^[a-z-]+$/.test(key) && !['null', 'true'].includes(key) && this.chance(0.8) ? key : this.quote(key);
  }

  private quote(text: string): string {
    if (/^[ -~]*$/.test(text) && this.chance(0.5)) return `'${text.replaceAll("'", "''")}'`;
    return JSON.stringify(text)
      .replaceAll('\u2028', '\\u2028')
      .replaceAll('\u0085', '\\u0085')
      .replace(
        /[\u007f-\u009f\ufeff\u2029\ufffe\uffff]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
  }

  private oneLine(item: null | boolean | number | string): string {
    if (typeof item !== 'string') return item === null && this.chance(0.3) ? '~' : String(item);
    const plain = /^[a-z][a-z/ ]*[a-z]$/.test(item) && !['null', 'true', 'false', 'yes'].includes(item);
    return plain && this.chance(0.7) ? item : this.quote(item);
  }
}
