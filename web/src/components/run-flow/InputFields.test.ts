import { expect, it } from 'vitest';

import { readFields, type Field } from './InputFields';

const FIELDS: [string, Field][] = [
  ['name', { type: 'string' }],
  ['note', { type: 'string', default: '' }],
  ['count', { type: 'integer' }],
  ['share', { type: 'number' }],
  ['on', { type: 'boolean' }],
  ['level', { enum: [1, 2, 3] }],
  ['list', { type: 'array' }],
];

function form(values: Record<string, string>): FormData {
  const made = new FormData();
  for (const [name, value] of Object.entries(values)) made.set(name, value);
  return made;
}

it('gives each value its own type, and leaves out what was left empty', () => {
  const given = form({ name: ' a ', note: '', count: '12', share: '1,5', on: 'on', level: '2', list: '[1, "b"]' });
  expect(readFields(given, FIELDS)).toEqual({
    values: { name: ' a ', note: '', count: 12, share: 1.5, on: true, level: 2, list: [1, 'b'] },
    broken: {},
  });
  expect(readFields(form({ name: '', count: '', list: '' }), FIELDS).values).toEqual({ note: '', on: false });
});

it('says which fields cannot be read', () => {
  const { broken } = readFields(form({ count: '1.5', share: 'x', list: '[1,' }), FIELDS);
  expect(Object.keys(broken)).toEqual(['count', 'share', 'list']);
});
