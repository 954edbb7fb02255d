import { expect, it } from 'vitest';

import { score } from './fuzzy';

const best = (query: string, texts: string[]): string | undefined =>
  texts
    .map((text) => ({ text, points: score(query, text) }))
    .filter((each) => each.points !== null)
    .toSorted((a, b) => (b.points ?? 0) - (a.points ?? 0))[0]?.text;

it('finds without accents, by the start of words and by letters in order', () => {
  expect(best('conciliacao', ['Planilha', 'Conciliação bancária'])).toBe('Conciliação bancária');
  expect(best('bk pg', ['Backup Postgres', 'Abackpage'])).toBe('Backup Postgres');
  expect(best('pix', ['Apixonado', 'Conciliar PIX'])).toBe('Conciliar PIX');
  expect(best('xyz', ['Planilha'])).toBeUndefined();
});

it('prefers what begins with the text', () => {
  expect(best('exec', ['Ver execuções', 'Executar Backup'])).toBe('Executar Backup');
});
