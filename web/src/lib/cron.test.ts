import { afterAll, beforeAll, expect, it } from 'vitest';

import { speak } from '@/i18n';

import { cronSentence, everyText } from './cron';

const PORTUGUESE: [string, string][] = [
  ['30 * * * *', 'a cada hora, no minuto 30'],
  ['0 * * * *', 'a cada hora'],
  ['* * * * *', 'a cada minuto'],
  ['*/5 * * * *', 'a cada 5 minutos'],
  ['0 */2 * * *', 'a cada 2 horas'],
  ['15 */6 * * *', 'a cada 6 horas, no minuto 15'],
  ['0 10 * * *', 'todo dia às 10:00'],
  ['5 7 * * 1-5', 'dias úteis às 07:05'],
  ['0 2 * * MON,THU', 'seg. e qui. às 02:00'],
  ['0 4 * * 0', 'dom. às 04:00'],
  ['0 4 * * 7', 'dom. às 04:00'],
  ['30 2 1 * *', 'todo dia 1 do mês às 02:30'],
];

it.each(PORTUGUESE)('%s is said as a sentence', (cron, sentence) => {
  expect(cronSentence(cron)).toBe(sentence);
});

it.each(['0 10 1-7 * 1', '0 0 1 1 *', '@daily', '0 10-12 * * *', '1,2 3 * * *', 'nonsense', '0 4 * * X'])(
  '%s stays as it is written',
  (cron) => {
    expect(cronSentence(cron)).toBe(cron);
  },
);

it('says intervals', () => {
  expect(['5m', '1h', '30s', '1d', '1h30m'].map(everyText)).toEqual([
    'a cada 5 minutos',
    'a cada hora',
    'a cada 30 segundos',
    'a cada dia',
    'a cada 1h30m',
  ]);
});

beforeAll(() => speak('pt-BR'));
afterAll(() => speak('pt-BR'));
