import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { speak } from '@/i18n';

import { axisDay, bytes, clockTime, duration, folded, hourOf, nextTime, number, percent, relative, setZone, when } from './format';

const NOW = Date.parse('2026-05-14T13:02:00Z'); // a Thursday, 10:02 in São Paulo
const before = (minutes: number): number => NOW - minutes * 60_000;

beforeAll(() => setZone('America/Sao_Paulo'));
afterAll(() => setZone('UTC'));

describe('in Portuguese', () => {
  it('writes numbers, shares and sizes', () => {
    expect(number(1284)).toBe('1.284');
    expect(percent(0.978)).toBe('97,8 %');
    expect([bytes(999), bytes(1500), bytes(84_000), bytes(512_000_000)]).toEqual(['999 B', '1,5 kB', '84 kB', '512 MB']);
  });

  it('writes durations', () => {
    const shown = [840, 6_400, 59_990, 124_000, 4_320_000, 273_600_000].map(duration);
    expect(shown).toEqual(['840 ms', '6,4 s', '59,9 s', '2 min 04 s', '1 h 12 min', '3 d 4 h']);
  });

  it('writes instants as lists do, in the zone of the view', () => {
    expect(when(before(32), NOW)).toBe('hoje, 09:30');
    expect(when(before(60 * 17), NOW)).toBe('ontem, 17:02');
    expect(when(NOW + 4 * 86_400_000, NOW)).toBe('seg. 10:02');
    expect(when(NOW - 20 * 86_400_000, NOW)).toBe('24 de abr.');
    expect(when(NOW - 400 * 86_400_000, NOW)).toContain('2025');
    expect(nextTime(NOW + 28 * 60_000, NOW)).toBe('10:30');
    expect(nextTime(NOW + 86_400_000, NOW)).toBe('amanhã, 10:02');
  });

  it('tells how long ago, and from seven days on the date itself', () => {
    expect(relative(before(32), NOW)).toBe('há 32 min');
    expect(relative(NOW + 118 * 60_000, NOW)).toBe('em 1 h 58 min');
    expect(relative(NOW - 12_000, NOW)).toBe('há 12 s');
    expect(relative(NOW + 7_200_000, NOW)).toBe('em 2 h');
    expect(relative(NOW - 3 * 86_400_000, NOW)).toBe('há 3 d');
    expect(relative(NOW - 8 * 86_400_000, NOW)).toBe('6 de mai.');
  });

  it('keeps the zone at midnight and at its edge', () => {
    expect(when('2026-05-14T02:59:59Z', NOW)).toBe('ontem, 23:59');
    expect(clockTime('2026-05-14T03:00:00Z')).toBe('00:00');
    expect(hourOf('2026-05-14T03:00:00Z')).toBe(0);
    expect(axisDay('2026-05-14T12:00:00Z')).toBe('qui.');
  });
});

describe('in English', () => {
  beforeAll(() => speak('en'));
  afterAll(() => speak('pt-BR'));

  it('writes what Portuguese writes, its own way', () => {
    expect([number(1284), percent(0.978), relative(before(32), NOW)]).toEqual(['1,284', '97.8%', '32 min ago']);
    expect(when(before(32), NOW)).toMatch(/^today, 9:30/);
  });
});

it('folds accents and case', () => {
  expect(folded('Conciliação ÀÉ')).toBe('conciliacao ae');
});
