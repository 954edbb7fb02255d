/** A log of any length behind a window: chunks of lines are read when they come into view, and few are kept. */

import type { LogIndex, LogLine } from '@/api/runs';

import { findLines, readIndex, readWindow, type LogOf } from '../api';

export const CHUNK = 1_000;
const KEPT = 60;

export interface Shown {
  index: LogIndex | null;
  error: unknown;
  /** Numbers of the lines that are shown; null for all. */
  only: number[] | null;
  found: number[];
  /** What `found` is the answer to: another query is still being looked for. */
  foundFor: string;
  cut: boolean;
}

const NOTHING: LogIndex = { lines: 0, bytes: 0, levels: {}, errors: [] };

export class LogStore {
  private readonly chunks = new Map<number, LogLine[]>();
  private readonly asked = new Set<number>();
  private readonly listeners = new Set<() => void>();
  private shown: Shown = { index: null, error: null, only: null, found: [], foundFor: '', cut: false };
  private closed = false;
  private query = '';
  private level: string | undefined;

  constructor(readonly of: LogOf) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  now = (): Shown => this.shown;

  private tell(change: Partial<Shown>): void {
    if (this.closed) return;
    this.shown = { ...this.shown, ...change };
    for (const listener of this.listeners) listener();
  }

  close(): void {
    this.closed = true;
  }

  open(): void {
    this.closed = false;
  }

  async load(): Promise<void> {
    try {
      const index = await readIndex(this.of);
      this.chunks.clear();
      this.asked.clear();
      this.tell({ index, error: null });
      if (this.query || this.level) await this.search(this.query, this.level);
    } catch (error) {
      this.tell({ error });
    }
  }

  line(n: number): LogLine | undefined {
    return this.chunks.get(chunkOf(n))?.[(n - 1) % CHUNK];
  }

  /** Reads what is needed to show these lines. */
  want(numbers: number[]): void {
    for (const chunk of new Set(numbers.map(chunkOf))) {
      if (!this.chunks.has(chunk) && !this.asked.has(chunk)) void this.read(chunk);
    }
  }

  private async read(chunk: number): Promise<void> {
    this.asked.add(chunk);
    try {
      const lines = await readWindow(this.of, chunk * CHUNK + 1, CHUNK);
      const newer = this.chunks.get(chunk) ?? [];
      this.chunks.set(chunk, newer.length > lines.length ? newer : lines);
      while (this.chunks.size > KEPT) {
        const oldest = this.chunks.keys().next().value;
        if (oldest === undefined) break;
        this.chunks.delete(oldest);
      }
      this.tell({});
    } catch (error) {
      this.tell({ error });
    } finally {
      this.asked.delete(chunk);
    }
  }

  /** Lines that have just been written; those that are known already are left out. */
  append(lines: Omit<LogLine, 'n'>[]): void {
    const { index } = this.shown;
    if (!index) return;
    const { run: _, step, attempt } = this.of;
    const mine = lines.filter(
      (line) => (step === undefined || line.step === step) && (attempt === undefined || line.attempt === attempt),
    );
    // Only of one attempt a line's own number is its number in this log: there what is known already is left out.
    const fresh = attempt === undefined ? mine : mine.filter((line) => line.line > index.lines);
    if (fresh.length === 0) return;
    const levels = { ...index.levels };
    const errors = [...index.errors];
    let { lines: count, bytes } = index;
    for (const line of fresh) {
      count += 1;
      bytes += line.text.length;
      levels[line.level] = (levels[line.level] ?? 0) + 1;
      if (line.level === 'error' || line.level === 'critical') errors.push(count);
      const chunk = chunkOf(count);
      const kept = this.chunks.get(chunk);
      if (kept && kept.length === (count - 1) % CHUNK) kept.push({ ...line, n: count });
      else if (!kept && (count - 1) % CHUNK === 0) this.chunks.set(chunk, [{ ...line, n: count }]);
    }
    this.tell({ index: { lines: count, bytes, levels, errors } });
    if (this.query || this.level) void this.search(this.query, this.level);
  }

  /** Every line that holds the text, seen or not; and only the lines of a level, when one is chosen. */
  async search(query: string, level: string | undefined): Promise<void> {
    this.query = query;
    this.level = level;
    try {
      const [found, only] = await Promise.all([
        query ? findLines(this.of, query, level) : null,
        level ? findLines(this.of, '', level) : null,
      ]);
      if (this.query !== query || this.level !== level) return;
      this.tell({ found: found?.lines ?? [], foundFor: query, cut: found?.cut ?? false, only: only?.lines ?? null });
    } catch (error) {
      this.tell({ error });
    }
  }

  get total(): number {
    return this.shown.only?.length ?? (this.shown.index ?? NOTHING).lines;
  }
}

const chunkOf = (n: number): number => Math.floor((n - 1) / CHUNK);
