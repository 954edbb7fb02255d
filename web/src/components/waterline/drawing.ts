import type { Dashboard } from '@/api/flows';

export const WIDTH = 1152;
export const LEFT = 30;
export const TOP = 24;
export const HEIGHT_ABOVE = 126;
const AXIS = 24;
const LEAST_BELOW = 44;
const MOST_BELOW = 92;
const HIGHEST_BAR = 116;
const LEAST_FAILURE = 9;
const WIDEST_UNIT = 16;

export interface Drawing {
  step: number;
  scale: number;
  line: number;
  below: number;
  /** Of the bars below the line. */
  deepest: number;
  height: number;
  nowX: number;
  grid: number[];
}

/** One linear scale above and below the line; a single failure is never thinner than 9 px. */
export function drawing(dashboard: Dashboard): Drawing {
  const { buckets } = dashboard;
  const highest = Math.max(1, ...buckets.map((bucket) => bucket.ok + bucket.scheduled));
  const worst = Math.max(0, ...buckets.map((bucket) => bucket.failed));
  const scale = Math.min(WIDEST_UNIT, HIGHEST_BAR / highest, worst ? (MOST_BELOW - 34) / worst : WIDEST_UNIT);
  const deepest = worst ? Math.max(LEAST_FAILURE, worst * scale) : 0;
  const below = Math.min(MOST_BELOW, Math.max(LEAST_BELOW, deepest + 30));
  const step = (WIDTH - LEFT) / buckets.length;
  const line = TOP + HEIGHT_ABOVE;
  const start = Date.parse(buckets[0]?.at ?? dashboard.now);
  const passed = (Date.parse(dashboard.now) - start) / (dashboard.bucket_seconds * 1000);
  return {
    step,
    scale,
    line,
    below,
    deepest,
    height: line + below + AXIS,
    nowX: LEFT + Math.min(dashboard.past, passed) * step,
    grid: gridOf(HIGHEST_BAR / scale),
  };
}

/** One or two round values within reach of the highest bar. */
export function gridOf(reach: number): number[] {
  if (reach < 2) return [1];
  const size = 10 ** Math.floor(Math.log10(reach / 2));
  const unit = [5, 2, 1].map((times) => times * size).find((value) => value * 2 <= reach) ?? size;
  const step = Math.max(1, Math.round(unit));
  return [step, step * 2];
}
