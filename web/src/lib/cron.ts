import i18next from 'i18next';

import { weekdayName } from './format';

const t = i18next.t.bind(i18next);
const two = (text: string): string => text.padStart(2, '0');
const isNumber = (text: string): boolean => /^\d+$/.test(text);
const NAMES = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/** `30 * * * *` → `a cada hora, no minuto 30`; what has no short sentence stays as it is written. */
export function cronSentence(cron: string): string {
  const fields = cron.trim().split(/\s+/);
  if (fields.length !== 5) return cron;
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];
  if (month !== '*') return cron;
  const often = everySentence(minute, hour);
  if (often !== null && day === '*' && weekday === '*') return often;
  if (!isNumber(minute) || !isNumber(hour)) return cron;
  const time = `${two(hour)}:${two(minute)}`;
  if (day !== '*') return weekday === '*' && isNumber(day) ? t('cron.monthly', { day, time }) : cron;
  if (weekday === '*') return t('cron.daily', { time });
  const days = weekdays(weekday);
  if (days === null) return cron;
  if (days.join() === '1,2,3,4,5') return t('cron.working_days', { time });
  const names = new Intl.ListFormat(i18next.language, { type: 'conjunction' }).format(days.map(weekdayName));
  return t('cron.weekly', { days: names, time });
}

function everySentence(minute: string, hour: string): string | null {
  const step = /^\*\/(\d+)$/;
  const minutes = step.exec(minute);
  if (minute === '*' && hour === '*') return t('cron.minutes', { count: 1 });
  if (minutes && hour === '*') return t('cron.minutes', { count: Number(minutes[1]) });
  if (!isNumber(minute)) return null;
  if (hour === '*') return minute === '0' ? t('cron.hours', { count: 1 }) : t('cron.hourly_at', { minute: Number(minute) });
  const hours = step.exec(hour);
  if (!hours) return null;
  const every = t('cron.hours', { count: Number(hours[1]) });
  return minute === '0' ? every : t('cron.at_minute', { every, minute: Number(minute) });
}

function weekdays(field: string): number[] | null {
  const found = new Set<number>();
  for (const part of field.split(',')) {
    const [from, to] = part.split('-').map(weekdayNumber);
    if (from === undefined || from === null || to === null) return null;
    for (let each = from; each <= (to ?? from); each += 1) found.add(each % 7);
  }
  return found.size ? [...found].toSorted((a, b) => ((a + 6) % 7) - ((b + 6) % 7)) : null;
}

function weekdayNumber(text: string): number | null {
  const named = NAMES.indexOf(text.toUpperCase());
  if (named >= 0) return named;
  return /^[0-7]$/.test(text) ? Number(text) : null;
}

/** `5m` → `a cada 5 minutos`. */
export function everyText(every: string): string {
  const [, count, unit] = /^(\d+)\s*(s|m|h|d)$/.exec(every) ?? [];
  const key = { s: 'seconds', m: 'minutes', h: 'hours', d: 'days' } as const;
  if (!count || !unit) return t('cron.every', { every });
  return t(`cron.${key[unit as keyof typeof key]}`, { count: Number(count) });
}
