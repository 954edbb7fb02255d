import { expect, test } from 'vitest';

import type { Fault } from '@/api/client';

import { treeOf } from './document/edit';
import { earlierSteps, faultsOf, named, pictureOf, placeOf } from './picture';

const TEXT = `id: vendas
triggers:
  - {id: agenda, type: interval, every: 2h}
steps:
  - id: ler
    uses: core/log
  - id: cada
    for_each: {items: "\${{ steps.ler.output }}"}
    steps:
      - id: dentro
        uses: core/log
        with:
          message: oi
  - id: fim
    uses: core/log
`;
const picture = pictureOf(treeOf(TEXT));
const fault = (path: string): Fault => ({ path, line: 1, column: 1, severity: 'error', code: 'x', message: path });

test('the caret stands in the innermost step', () => {
  const at = (words: string): string | null => placeOf(picture, TEXT.indexOf(words) + 1);
  expect(at('message')).toBe('dentro');
  expect(at('for_each')).toBe('cada');
  expect(at('id: fim')).toBe('fim');
  expect(at('id: agenda')).toBe('@0');
  expect(at('id: vendas')).toBe(null);
});

test('the last step reaches to the end of the text, also without a line break', () => {
  const short = pictureOf(treeOf('steps:\n  - id: a\n    uses: core/log'));
  expect(placeOf(short, short.text.length)).toBe('a');
});

test('a problem is told at the step it stands in, with the rest of its path', () => {
  const faults = [fault('steps[1].steps[0].with.message'), fault('steps[1].for_each.items'), fault('steps[10].uses')];
  const rests = (key: string): string[] => {
    const place = named(picture, key);
    return place ? faultsOf(picture, place, faults).map(({ rest }) => rest) : [];
  };
  expect(rests('dentro')).toEqual(['with.message']);
  expect(rests('cada')).toEqual(['for_each.items']);
  expect(rests('ler')).toEqual([]);
});

test('a step reads what ended before it, also before the step that it is part of', () => {
  expect(earlierSteps(picture, 'dentro').map((step) => step.id)).toEqual(['ler']);
  expect(earlierSteps(picture, 'fim').map((step) => step.id)).toEqual(['ler', 'cada']);
});
