import { expect, test } from 'vitest';

import { treeOf } from '../document/edit';
import { pictureOf } from '../picture';
import { layoutOf, linksOf } from './layout';

const picture = pictureOf(
  treeOf(`triggers: [{id: agenda, type: interval, every: 1h}]
steps:
  - {id: ler, uses: core/log}
  - {id: outra, uses: core/log, needs: []}
  - id: escolher
    needs: [ler, outra]
    switch:
      value: "\${{ steps.ler.output.level }}"
      cases:
        info: [{id: gravar, uses: core/log}]
      default: [{id: encerrar, uses: core/log}]
on_failure: [{id: alerta, uses: core/log}]
`),
);

test('steps hang from what they wait for, from the step they are part of, or from what starts the run', () => {
  expect(linksOf(picture).map(({ from, to, label }) => [from, to, label])).toEqual([
    ['@0', 'ler', null],
    ['@0', 'outra', null],
    ['ler', 'escolher', null],
    ['outra', 'escolher', null],
    ['escolher', 'gravar', 'info'],
    ['escolher', 'encerrar', 'default'],
    ['@on_failure', 'alerta', null],
  ]);
});

test('what comes later stands lower, and no node covers another', () => {
  const { nodes, width } = layoutOf(picture);
  const y = (key: string): number => nodes.find((node) => node.key === key)?.y ?? Number.NaN;
  expect(y('@0')).toBeLessThan(y('ler'));
  expect(y('escolher')).toBeLessThan(y('gravar'));
  expect(new Set(nodes.map((node) => `${node.x} ${node.y}`)).size).toBe(nodes.length);
  expect(nodes.every((node) => node.x >= 0 && node.x < width)).toBe(true);
});

test('five hundred steps are laid out', () => {
  const steps = Array.from({ length: 500 }, (_, n) => `  - {id: s${n}, uses: core/log${n % 5 === 0 ? ', needs: []' : ''}}`);
  expect(layoutOf(pictureOf(treeOf(`steps:\n${steps.join('\n')}\n`))).nodes).toHaveLength(500);
});
