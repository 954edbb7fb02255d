import { describe, expect, test } from 'vitest';
import {
  addStep,
  addTrigger,
  connect,
  disconnect,
  freeId,
  moveStep,
  removeStep,
  removeTrigger,
  renameStep,
  setFlowField,
  setStepField,
  setTriggerField,
  stepsOf,
} from './flow';
import { changeBetween, CannotEdit } from './edit';
import { jsonOf, readTree } from './tree';

const FLOW = `# Vendas da planilha para o Postgres, a cada 2 horas
schema: monjolo/flow/v1
id: planilha-vendas
name: Planilha de vendas → Postgres

triggers:
  - { id: agenda, type: schedule, cron: "0 */2 * * *" }   # de dia

steps:
  # de onde vem
  - id: ler
    uses: sheets/read
    with: { range: "Vendas!A2:F" }
  - id: limpar
    uses: data/transform
    with:
      rows: \${{ steps.ler.output.rows }}
      note: "o \\"steps.ler\\" fica; \${{ steps.ler.output.total }} muda" # nota
      code: |
        # steps.ler.output fica
        total = \${{ steps["ler"].output.total + size('steps.ler') }}
    if: steps.ler.output.rows.size() > 0 && 'steps.ler' != ''
    timeout: 30x   # não descarta

  - id: gravar
    uses: db/write
    needs: [ler, limpar]
    retry: { max_attempts: 3, delay: 10s }
`;

/** The lines of one that are not in the other, as a diff shows them. */
function diff(before: string, after: string): string[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  return [
    ...a.filter((line) => !b.includes(line)).map((line) => `-${line}`),
    ...b.filter((line) => !a.includes(line)).map((line) => `+${line}`),
  ];
}

function waits(text: string): Record<string, string[]> {
  const { tree } = readTree(text);
  return Object.fromEntries(stepsOf(tree?.root as never).map((step) => [step.id, step.waitsFor]));
}

describe('EDIT-1, in the words of a flow', () => {
  test('a field changes its own bytes alone', () => {
    const after = setStepField(FLOW, 'limpar', ['timeout'], '5m');
    expect(changeBetween(FLOW, after)).toEqual({
      from: FLOW.indexOf('30x'),
      to: FLOW.indexOf('30x') + 3,
      insert: '5m',
    });
    expect(diff(FLOW, setStepField(FLOW, 'ler', ['with', 'range'], 'B2:C'))).toEqual([
      '-    with: { range: "Vendas!A2:F" }',
      '+    with: { range: "B2:C" }',
    ]);
  });

  test('a new field stands in the order people write', () => {
    expect(diff(FLOW, setStepField(FLOW, 'ler', ['if'], 'inputs.ligado'))).toEqual(['+    if: inputs.ligado']);
    const after = setStepField(FLOW, 'gravar', ['needs'], undefined);
    expect(diff(FLOW, after)).toEqual(['-    needs: [ler, limpar]']);
    expect(setStepField(after, 'gravar', ['needs'], ['ler', 'limpar'])).toBe(FLOW);
  });

  test('a step comes in, moves and goes, and only its lines change', () => {
    const step = { id: 'avisar', uses: 'telegram/send', with: { text: 'pronto: ok' } };
    const added = addStep(FLOW, ['steps'], 2, step);
    expect(diff(FLOW, added)).toEqual(['+  - id: avisar', '+    uses: telegram/send', '+      text: "pronto: ok"']);
    expect(removeStep(added, 'avisar')).toBe(FLOW);
    const moved = moveStep(FLOW, 'ler', 1);
    expect([...moved].sort().join('')).toBe([...FLOW].sort().join(''));
    expect(moved).toContain('  # de onde vem\n  - id: ler\n');
    expect(waits(moved)).toEqual({ limpar: [], ler: ['limpar'], gravar: ['ler', 'limpar'] });
  });

  test('who waited for a step that goes waits for what it waited for', () => {
    expect(waits(removeStep(FLOW, 'limpar'))).toEqual({ ler: [], gravar: ['ler'] });
    expect(waits(removeStep(FLOW, 'ler'))).toEqual({ limpar: [], gravar: ['limpar'] });
    const aside = setStepField(FLOW, 'limpar', ['needs'], []);
    expect(waits(removeStep(setStepField(aside, 'gravar', ['needs'], undefined), 'limpar'))).toEqual({
      ler: [],
      gravar: [],
    });
  });

  test('a renamed step is renamed wherever it is named, and not in plain words', () => {
    const after = renameStep(FLOW, 'ler', 'buscar');
    expect(diff(FLOW, after)).toEqual([
      '-  - id: ler',
      '-      rows: ${{ steps.ler.output.rows }}',
      '-      note: "o \\"steps.ler\\" fica; ${{ steps.ler.output.total }} muda" # nota',
      '-        total = ${{ steps["ler"].output.total + size(\'steps.ler\') }}',
      "-    if: steps.ler.output.rows.size() > 0 && 'steps.ler' != ''",
      '-    needs: [ler, limpar]',
      '+  - id: buscar',
      '+      rows: ${{ steps.buscar.output.rows }}',
      '+      note: "o \\"steps.ler\\" fica; ${{ steps.buscar.output.total }} muda" # nota',
      '+        total = ${{ steps["buscar"].output.total + size(\'steps.ler\') }}',
      "+    if: steps.buscar.output.rows.size() > 0 && 'steps.ler' != ''",
      '+    needs: [buscar, limpar]',
    ]);
    expect(() => renameStep(FLOW, 'ler', 'limpar')).toThrow(CannotEdit);
  });

  test('connecting writes what is waited for, and a circle is refused', () => {
    expect(diff(FLOW, disconnect(FLOW, 'ler', 'gravar'))).toEqual([
      '-    needs: [ler, limpar]',
      '+    needs: [limpar]',
    ]);
    expect(connect(disconnect(FLOW, 'limpar', 'gravar'), 'limpar', 'gravar')).toBe(FLOW);
    expect(diff(FLOW, disconnect(FLOW, 'ler', 'limpar'))).toEqual(['+    needs: []']);
    expect(connect(FLOW, 'ler', 'limpar')).toBe(FLOW);
    expect(() => connect(FLOW, 'gravar', 'ler')).toThrow('wait for each other');
  });

  test("triggers and the flow's own keys", () => {
    const trigger = { id: 'noite', type: 'schedule', cron: '0 3 * * *' };
    const added = addTrigger(FLOW, trigger);
    expect(diff(FLOW, added)).toEqual(['+  - id: noite', '+    type: schedule', '+    cron: "0 3 * * *"']);
    expect(removeTrigger(added, 'noite')).toBe(FLOW);
    expect(diff(FLOW, setTriggerField(FLOW, 'agenda', 'timezone', 'America/Sao_Paulo'))[1]).toBe(
      '+  - { id: agenda, type: schedule, cron: "0 */2 * * *", timezone: America/Sao_Paulo }   # de dia',
    );
    const inputs = { type: 'object', properties: { moeda: { type: 'string', default: 'BRL' } }, required: ['moeda'] };
    const after = setFlowField(FLOW, ['inputs'], inputs);
    expect(after.indexOf('inputs:')).toBeLessThan(after.indexOf('triggers:'));
    expect(setFlowField(after, ['inputs'], undefined)).toBe(FLOW);
  });

  test('nested steps are found, and a free name is given', () => {
    const text =
      FLOW +
      '  - id: escolher\n    switch:\n      value: 1\n      cases:\n        a:\n          - {id: um, uses: a/b}\n          - {id: dois, uses: a/b}\n';
    expect(waits(text)).toMatchObject({ escolher: ['gravar'], um: [], dois: ['um'] });
    expect(freeId(text, 'um')).toBe('um_2');
    expect(() => connect(text, 'ler', 'um')).toThrow('own list');
  });
});

describe('what the platform refuses is refused here', () => {
  test.each([
    ['a: &x 1', 'anchor', 1, 4],
    ['a: 1\nb: *a', 'alias', 2, 4],
    ['a: !!str 1', 'tag', 1, 10],
    ['a: !x 1', 'tag', 1, 7],
    ['a: 1\na: 2', 'duplicate_key', 2, 1],
    ['<<: {a: 1}', 'merge_key', 1, 1],
    ['? [a]\n: 1', 'key_not_text', 1, 3],
    ['a: 1\n---\nb: 2', 'many_documents', 2, 1],
    ['', 'empty', 1, 1],
    ['# nada\n', 'empty', 1, 1],
    ['- a', 'not_a_mapping', 1, 1],
    ['a: .inf', 'not_json', 1, 4],
    ['a: 99999999999999999999', 'number_too_large', 1, 4],
    ['a: 1e999', 'number_too_large', 1, 4],
    ['a: [', 'syntax_error', 1, 5],
    ['a: b: c', 'syntax_error', 1, 4],
    [`a: ${'['.repeat(70)}${']'.repeat(70)}`, 'too_deep', 1, 67],
  ])('%j: %s', (text, code, line) => {
    expect(readTree(text).problem).toMatchObject({ code, line });
  });

  test('and what it takes is taken', () => {
    const { tree } = readTree('"a": 0x1F\nb: 0o17\nc: yes\nd: 2026-01-02\n1.0: ~\ne: +5\nf: .5\n');
    expect(jsonOf(tree?.root as never)).toEqual({ a: 31, b: 15, c: 'yes', d: '2026-01-02', '1.0': null, e: 5, f: 0.5 });
  });
});
