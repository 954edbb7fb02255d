import { expect, it } from 'vitest';

import type { Dashboard } from '@/api/flows';

import { drawing, gridOf, HEIGHT_ABOVE, LEFT, WIDTH } from './drawing';

function dashboard(ok: number[], failed: number[], now = '2026-05-14T01:45:00Z'): Dashboard {
  const buckets = ok.map((count, place) => ({
    at: new Date(Date.parse('2026-05-14T00:00:00Z') + place * 1_800_000).toISOString(),
    ok: count,
    failed: failed[place] ?? 0,
    other: 0,
    scheduled: 0,
  }));
  return { now, window: '24h', bucket_seconds: 1800, past: 4, buckets } as unknown as Dashboard;
}

it('gives no bar more room than there is, above and below, on one scale', () => {
  for (const [ok, failed] of [[[1, 0], [0, 1]], [[9000, 3], [1, 0]], [[0, 0], [700, 1]], [[0], [0]]] as [number[], number[]][]) {
    const drawn = drawing(dashboard(ok, failed));
    expect(Math.max(...ok) * drawn.scale).toBeLessThanOrEqual(HEIGHT_ABOVE);
    expect(drawn.deepest).toBeLessThanOrEqual(drawn.below);
    if (Math.max(...failed) > 0) expect(drawn.deepest).toBeGreaterThanOrEqual(9);
  }
});

it('lets now stand in the bucket that has begun', () => {
  const drawn = drawing(dashboard([1, 1, 1, 1, 0, 0], []));
  expect(drawn.nowX).toBeCloseTo(LEFT + 3.5 * drawn.step);
  expect(drawn.step * 6).toBeCloseTo(WIDTH - LEFT);
});

it('draws the grid at round values within reach', () => {
  expect([gridOf(1), gridOf(7), gridOf(13), gridOf(29), gridOf(240)]).toEqual([[1], [2, 4], [5, 10], [10, 20], [100, 200]]);
});
