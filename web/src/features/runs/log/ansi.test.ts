import { expect, test } from 'vitest';

import { piecesOf, spansOf } from './ansi';

const ESC = String.fromCharCode(27);

test('colours of a terminal become words of ours, and are taken back', () => {
  expect(spansOf(`a ${ESC}[31mred${ESC}[0m b`)).toEqual([
    { text: 'a ', className: '' },
    { text: 'red', className: 't-err' },
    { text: ' b', className: '' },
  ]);
});

test('whatever else steers a terminal is left out, tabs stay', () => {
  const text = `${ESC}[2K${ESC}]0;title${String.fromCharCode(7)}one${String.fromCharCode(8)}\ttwo`;
  expect(
    spansOf(text)
      .map((span) => span.text)
      .join(''),
  ).toBe('one\ttwo');
});

test('what is searched for is marked wherever it stands, in either case', () => {
  const pieces = piecesOf('Txid and txid', 'TXID');
  expect(pieces.map((piece) => [piece.text, piece.hit])).toEqual([
    ['Txid', true],
    [' and ', false],
    ['txid', true],
  ]);
});
