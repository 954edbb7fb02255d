import { describe, expect, test } from 'vitest';

import type { Attempt, Run, Step } from '@/api/runs';

import { happeningsOf } from './happenings';
import { layoutOf } from './run-graph';
import { barsOf, niceStep, rowsOf, scaleOf, spanOf } from './waterfall';

const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
const ms = (seconds: number): number => Date.UTC(2026, 0, 1) + seconds * 1000;

function attempt(number: number, from: number, to: number | null, status = 'failed', queued = 0): Attempt {
  return {
    attempt: number,
    token: number,
    status,
    worker: 'w',
    error: null,
    queued_at: at(queued),
    started_at: at(from),
    finished_at: to === null ? null : at(to),
  };
}

function step(key: string, attempts: Attempt[], change: Partial<Step> = {}): Step {
  const last = attempts.at(-1);
  return {
    key,
    status: last?.status ?? 'skipped',
    reason: null,
    attempt: last?.attempt ?? 0,
    output: null,
    output_bytes: null,
    error: null,
    items: null,
    child_run: null,
    reused_from: null,
    wake_at: null,
    started_at: attempts[0]?.started_at ?? null,
    finished_at: last?.finished_at ?? null,
    attempts,
    ...change,
  };
}

const run = (ended: number | null): Run =>
  ({
    id: 'r',
    status: 'failed',
    created_at: at(0),
    started_at: at(0),
    finished_at: ended === null ? null : at(ended),
  }) as Run;

describe('the bars of a step', () => {
  test('show its wait in the queue, each attempt, and the pause before the next', () => {
    const bars = barsOf(step('a', [attempt(1, 1, 2), attempt(2, 12, 13)]), ms(20));
    expect(bars.map((bar) => [bar.kind, (bar.from - ms(0)) / 1000, (bar.to - ms(0)) / 1000, bar.attempt])).toEqual([
      ['queue', 0, 1, 1],
      ['work', 1, 2, 1],
      ['pause', 2, 12, 2],
      ['work', 12, 13, 2],
    ]);
  });

  test('grow to now while the step runs, and rest while it waits to be tried again', () => {
    expect(barsOf(step('a', [attempt(1, 1, null, 'running')]), ms(5)).at(-1)).toMatchObject({
      kind: 'work',
      to: ms(5),
    });
    const waiting = step('a', [attempt(1, 1, 2)], { status: 'retrying', finished_at: null });
    expect(barsOf(waiting, ms(9)).at(-1)).toMatchObject({ kind: 'pause', from: ms(2), to: ms(9) });
  });

  test('of a step that sleeps are no work', () => {
    const sleeping = step('s', [], { status: 'succeeded', started_at: at(1), finished_at: at(4) });
    const [row] = rowsOf([sleeping], { steps: [{ id: 's', sleep: '3s' }] }, ms(9));
    expect(row?.bars.map((bar) => bar.kind)).toEqual(['pause']);
  });
});

describe('the rows', () => {
  const document = { steps: [{ id: 'one' }, { id: 'two' }, { id: 'three' }] };

  test('stand in the order of the document, with what has not begun and handlers last', () => {
    const steps = [
      step('on_failure.tell', [attempt(1, 8, 9)]),
      step('two', [attempt(1, 3, 4)]),
      step('one', [attempt(1, 1, 2)]),
    ];
    const rows = rowsOf(steps, document, ms(9));
    expect(rows.map((row) => [row.label, row.status])).toEqual([
      ['one', 'failed'],
      ['two', 'failed'],
      ['three', 'pending'],
      ['tell', 'failed'],
    ]);
  });

  test('open into the items of a loop, by number', () => {
    const steps = [step('one', [attempt(1, 1, 2)])];
    const items = { one: [10, 9, 1].map((n) => step(`one[${n}]`, [attempt(1, 1, 2)])) };
    expect(rowsOf(steps, document, ms(9), items).map((row) => row.key)).toEqual([
      'one',
      'one[1]',
      'one[9]',
      'one[10]',
      'two',
      'three',
    ]);
  });
});

describe('the line of time', () => {
  const rows = rowsOf([step('a', [attempt(1, 0, 2), attempt(2, 60, 62)])], null, ms(62));
  const span = spanOf(run(62), rows, ms(62));

  test('makes a long pause short and says how long it was', () => {
    const scale = scaleOf(span, rows, true);
    expect(scale.stretches.map((each) => [each.skipped, Math.round(each.width)])).toEqual([
      [false, 47],
      [true, 6],
      [false, 47],
    ]);
    expect(scale.ticks.filter((tick) => tick.skipped)).toMatchObject([{ ms: 58_000 }]);
  });

  test('leaves it as long as it was when asked', () => {
    const scale = scaleOf(span, rows, false);
    expect(scale.stretches).toHaveLength(1);
    expect(scale.at(ms(31))).toBeCloseTo(50);
  });

  test('never runs backwards', () => {
    const scale = scaleOf(span, rows, true);
    const places = Array.from({ length: 63 }, (_, second) => scale.at(ms(second)));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect([places[0], places.at(-1)]).toEqual([0, 100]);
  });

  test.each([
    [0.3, 1],
    [1.6, 2],
    [230, 500],
    [1000, 1000],
  ])('a tick of %s is %s', (wanted, step) => expect(niceStep(wanted)).toBe(step));
});

describe('the graph', () => {
  test('puts what waits to the right of what it waits for, and handlers below', () => {
    const document = {
      steps: [{ id: 'a', needs: [] }, { id: 'b', needs: [] }, { id: 'c', needs: ['a', 'b'] }, { id: 'd' }],
      on_failure: [{ id: 'tell' }],
    };
    const { nodes, edges, width, height } = layoutOf(document, 'manual');
    const place = Object.fromEntries(nodes.map((node) => [node.id, node]));
    expect(place.a?.x).toBe(place.b?.x);
    expect(place.c?.x).toBeGreaterThan((place.a?.x ?? 0) + (place.a?.width ?? 0));
    expect(place.d?.x).toBeGreaterThan(place.c?.x ?? 0);
    expect(edges.map((edge) => `${edge.from}>${edge.to}`)).toEqual(['@trigger>a', '@trigger>b', 'a>c', 'b>c', 'c>d']);
    expect(Math.max(...nodes.map((node) => node.y + 40))).toBeLessThanOrEqual(height);
    expect(Math.max(...nodes.map((node) => node.x + node.width))).toBeLessThanOrEqual(width);
  });

  test('of a document with a circle, or without steps, is still a graph', () => {
    expect(
      layoutOf(
        {
          steps: [
            { id: 'a', needs: ['b'] },
            { id: 'b', needs: ['a'] },
          ],
        },
        'x',
      ).nodes,
    ).toHaveLength(3);
    expect(layoutOf(null, 'x').nodes).toHaveLength(1);
  });
});

test('what happened stands in the order of its times', () => {
  const steps = [step('a', [attempt(1, 1, 2), attempt(2, 5, 6)]), step('b', [], { finished_at: at(6) })];
  expect(happeningsOf(run(7), steps).map((each) => [each.what, each.step, each.attempt])).toEqual([
    ['accepted', null, null],
    ['run_started', null, null],
    ['queued', 'a', 1],
    ['started', 'a', 1],
    ['ended', 'a', 1],
    ['started', 'a', 2],
    ['ended', 'a', 2],
    ['skipped', 'b', null],
    ['run_ended', null, null],
  ]);
});
