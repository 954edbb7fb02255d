/** Where the bars of a run stand: attempts, waits and pauses on one line of time, long pauses made short. */

import type { Run, Step } from '@/api/runs';

export interface Bar {
  kind: 'queue' | 'work' | 'pause';
  from: number;
  to: number;
  status: string;
  attempt: number;
}

export interface Row {
  key: string;
  label: string;
  depth: number;
  step: Step | null;
  status: string;
  bars: Bar[];
  /** Of the work: from its first start to its end. */
  ms: number | null;
}

const ms = (instant: string): number => Date.parse(instant);

/** `idle`: of a step that only lets time pass. */
export function barsOf(step: Step, now: number, idle = false): Bar[] {
  const bars: Bar[] = [];
  let before: number | null = null;
  for (const attempt of step.attempts) {
    const queued = ms(attempt.queued_at);
    const started = attempt.started_at === null ? null : ms(attempt.started_at);
    const ended = attempt.finished_at === null ? now : ms(attempt.finished_at);
    const shared = { status: attempt.status, attempt: attempt.attempt };
    // What lies between two attempts is the pause before the next one, of which its place in the queue is the end.
    if (before !== null) bars.push({ kind: 'pause', from: before, to: started ?? ended, ...shared });
    else bars.push({ kind: 'queue', from: queued, to: started ?? ended, ...shared });
    if (started !== null) bars.push({ kind: 'work', from: started, to: ended, ...shared });
    before = ended;
  }
  const retrying = step.status === 'retrying' || step.status === 'waiting';
  if (before !== null && retrying && step.finished_at === null) {
    bars.push({ kind: 'pause', from: before, to: now, status: step.status, attempt: step.attempt });
  }
  if (step.attempts.length === 0 && step.started_at !== null) {
    const to = step.finished_at === null ? now : ms(step.finished_at);
    const kind = idle || step.status === 'waiting' ? 'pause' : 'work';
    bars.push({ kind, from: ms(step.started_at), to, status: step.status, attempt: 1 });
  }
  return bars;
}

/** In the order of the document, then what it does not name; what has not begun stands there too. */
export function rowsOf(steps: Step[], document: unknown, now: number, items: Record<string, Step[]> = {}): Row[] {
  const ids = definitions(document);
  const idle = new Set(definitions(document, ['sleep', 'sleep_until', 'wait_for']));
  const place = (key: string): number => {
    const root = key.split(/[.[]/)[0] ?? key;
    const found = ids.indexOf(root);
    return found < 0 ? ids.length : found;
  };
  const known = new Set(steps.map((step) => step.key));
  const rows = steps.map((step): Row => rowOf(step, now, idle.has(step.key)));
  for (const id of ids) {
    if (!known.has(id)) rows.push({ key: id, label: id, depth: 0, step: null, status: 'pending', bars: [], ms: null });
  }
  const began = (row: Row): number => (row.step?.started_at ? ms(row.step.started_at) : Number.POSITIVE_INFINITY);
  rows.sort(
    (a, b) => place(a.key) - place(b.key) || a.depth - b.depth || began(a) - began(b) || (a.key < b.key ? -1 : 1),
  );
  return rows.flatMap((row) => [row, ...(items[row.key] ?? []).toSorted(byIndex).map((step) => rowOf(step, now))]);
}

function byIndex(a: Step, b: Step): number {
  const index = (key: string): number => Number(/\[(\d+)\](?!.*\[)/.exec(key)?.[1] ?? 0);
  return index(a.key) - index(b.key) || a.key.length - b.key.length;
}

function rowOf(step: Step, now: number, idle = false): Row {
  const handler = /^(on_success|on_failure|on_cancel|finally)\.(.+)$/.exec(step.key);
  const label = handler?.[2] ?? step.key;
  const bars = barsOf(step, now, idle);
  const work = bars.filter((bar) => bar.kind === 'work');
  const last = bars.at(-1);
  const first = work[0] ?? bars[0];
  return {
    key: step.key,
    label,
    depth: handler ? 0 : (step.key.match(/[.[]/g)?.length ?? 0),
    step,
    status: step.status,
    bars,
    ms: first && last && step.status !== 'skipped' ? last.to - first.from : null,
  };
}

/** The ids of the flow's own steps, or of those that have one of these keys. */
function definitions(document: unknown, having?: string[]): string[] {
  const steps = (document as { steps?: unknown } | null)?.steps;
  if (!Array.isArray(steps)) return [];
  return steps.flatMap((step: { id?: unknown }) => {
    const wanted = typeof step?.id === 'string' && (!having || having.some((key) => key in step));
    return wanted ? [step.id as string] : [];
  });
}

// --- the line of time ----------------------------------------------------------------------------------------

interface Stretch {
  from: number;
  to: number;
  /** In percent of the width. */
  left: number;
  width: number;
  skipped: boolean;
}

export interface Scale {
  stretches: Stretch[];
  at: (instant: number) => number;
  ticks: { left: number; ms: number; skipped: boolean }[];
}

const SHORT_GAP_MS = 2_000;
const GAP_WIDTH = 6;

export function spanOf(run: Run, rows: Row[], now: number): [number, number] {
  const from = ms(run.created_at);
  const ended = run.finished_at === null ? now : ms(run.finished_at);
  const last = Math.max(ended, ...rows.flatMap((row) => row.bars.map((bar) => bar.to)));
  return [from, Math.max(last, from + 1)];
}

/** Time to place. With `shorten`, stretches in which nothing works take a few percent each and say what they hide. */
export function scaleOf([from, to]: [number, number], rows: Row[], shorten: boolean): Scale {
  const gaps = shorten ? gapsOf(from, to, rows) : [];
  const rest = 100 - gaps.length * GAP_WIDTH;
  const busy = to - from - gaps.reduce((sum, [start, end]) => sum + end - start, 0);
  const stretches: Stretch[] = [];
  let left = 0;
  let at = from;
  const add = (end: number, skipped: boolean): void => {
    if (end <= at) return;
    const width = skipped ? GAP_WIDTH : ((end - at) / Math.max(busy, 1)) * rest;
    stretches.push({ from: at, to: end, left, width, skipped });
    left += width;
    at = end;
  };
  for (const [start, end] of gaps) {
    add(start, false);
    add(end, true);
  }
  add(to, false);
  return { stretches, at: (instant) => placeIn(stretches, instant), ticks: ticksOf(stretches, from) };
}

function placeIn(stretches: Stretch[], instant: number): number {
  const found = stretches.find((each) => instant <= each.to) ?? stretches.at(-1);
  if (!found) return 0;
  const share = (instant - found.from) / Math.max(found.to - found.from, 1);
  return found.left + Math.min(Math.max(share, 0), 1) * found.width;
}

/** The longest pauses, each well over what a tick of the whole is. */
function gapsOf(from: number, to: number, rows: Row[]): [number, number][] {
  const work = rows
    .flatMap((row) => row.bars.filter((bar) => bar.kind !== 'pause').map((bar): [number, number] => [bar.from, bar.to]))
    .toSorted((a, b) => a[0] - b[0]);
  const gaps: [number, number][] = [];
  let end = from;
  for (const [start, stop] of work) {
    if (start > end) gaps.push([end, start]);
    end = Math.max(end, stop);
  }
  if (to > end) gaps.push([end, to]);
  const least = Math.max(SHORT_GAP_MS, (to - from) * 0.12);
  return gaps
    .filter(([start, stop]) => stop - start > least)
    .toSorted((a, b) => b[1] - b[0] - (a[1] - a[0]))
    .slice(0, 5)
    .toSorted((a, b) => a[0] - b[0]);
}

const STEPS = [1, 2, 5];

function ticksOf(stretches: Stretch[], from: number): Scale['ticks'] {
  const ticks: Scale['ticks'] = [];
  const open = stretches.filter((each) => !each.skipped);
  const total = open.reduce((sum, each) => sum + each.to - each.from, 0);
  const step = niceStep(total / 6);
  for (const each of stretches) {
    if (each.skipped) {
      ticks.push({ left: each.left + each.width / 2, ms: each.to - each.from, skipped: true });
      continue;
    }
    const first = Math.ceil((each.from - from) / step) * step;
    for (let at = first; from + at <= each.to; at += step) {
      const left = placeIn(stretches, from + at);
      const crowded = ticks.some((tick) => Math.abs(tick.left - left) < 8);
      if (!crowded && left < 97) ticks.push({ left, ms: at, skipped: false });
    }
  }
  return ticks.toSorted((a, b) => a.left - b.left);
}

export function niceStep(wanted: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(wanted, 1)));
  return (STEPS.find((step) => step * magnitude >= wanted) ?? 10) * magnitude;
}
