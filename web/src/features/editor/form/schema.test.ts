import { expect, test } from 'vitest';

import { shapeOf, shown, typedValue } from './schema';

test('what may be left out is asked for as what it is', () => {
  expect(shapeOf({ anyOf: [{ type: 'string' }, { type: 'null' }], title: 'Texto', default: null })).toMatchObject({ kind: 'text', title: 'Texto' });
  expect(shapeOf({ $ref: '#/$defs/Level' }, { $defs: { Level: { enum: ['info', 'error'] } } })).toMatchObject({ kind: 'choice', choices: ['info', 'error'] });
  expect(shapeOf({ anyOf: [{ type: 'string' }, { type: 'array' }] }).kind).toBe('json');
  expect(shapeOf(true).kind).toBe('json');
});

test.each([
  ['', 'integer', {}],
  ['12', 'integer', { value: 12 }],
  ['1,5', 'number', { value: 1.5 }],
  ['1.5', 'integer', { fault: 'number' }],
  ['${{ inputs.n }}', 'integer', { value: '${{ inputs.n }}' }],
  ['{"a": 1', 'json', { fault: 'json' }],
  ['{"a": 1}', 'json', { value: { a: 1 } }],
  ['true', 'boolean', { value: true }],
  ['12', 'text', { value: '12' }],
] as const)('%j typed as %s is %j', (text, kind, expected) => {
  expect(typedValue(text, { kind, choices: [] })).toEqual(expected);
});

test('text within JSON is told from an expression', () => {
  expect(shown('oi', 'json')).toBe('"oi"');
  expect(shown('${{ inputs.n }}', 'json')).toBe('${{ inputs.n }}');
});
