/** Numbers, sizes, instants and durations as people write them, in the language of the page. */

import i18next from 'i18next';

const language = (): string => i18next.language;
const made = new Map<string, unknown>();

function kept<Made>(key: string, make: (language: string) => Made): Made {
  const name = `${language()} ${zone()} ${key}`;
  if (!made.has(name)) made.set(name, make(language()));
  return made.get(name) as Made;
}

let viewerZone: string | null = null;

/** The time zone of the view: the person's own, or else the browser's. */
export const zone = (): string => viewerZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;

export function setZone(name: string): void {
  try {
    Intl.DateTimeFormat('en', { timeZone: name });
    viewerZone = name;
  } catch {
    viewerZone = null; // a browser older than the zone: its own is the honest one
  }
}

export const number = (value: number): string => kept('n', (l) => new Intl.NumberFormat(l)).format(value);

/** `share` from 0 to 1: `97,8 %`. */
export function percent(share: number, digits = 1): string {
  const text = kept(`p${digits}`, (l) => new Intl.NumberFormat(l, { maximumFractionDigits: digits })).format(share * 100);
  return language() === 'pt-BR' ? `${text} %` : `${text}%`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${kept(`b${digits}`, (l) => new Intl.NumberFormat(l, { maximumFractionDigits: digits })).format(value)} ${UNITS[unit]}`;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `840 ms`, `6,4 s`, `2 min 04 s`, `1 h 12 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) {
    const seconds = Math.floor(ms / 100) / 10;
    return `${kept('s', (l) => new Intl.NumberFormat(l, { minimumFractionDigits: 1, maximumFractionDigits: 1 })).format(seconds)} s`;
  }
  const seconds = Math.floor(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export type Instant = string | number | Date;

const asDate = (instant: Instant): Date => (instant instanceof Date ? instant : new Date(instant));

/** `09:30`; with seconds `09:30:05`. */
export function clockTime(instant: Instant, seconds = false): string {
  return kept(
    `t${seconds}`,
    (l) =>
      new Intl.DateTimeFormat(l, {
        hour: l === 'pt-BR' ? '2-digit' : 'numeric',
        minute: '2-digit',
        ...(seconds ? { second: '2-digit' as const } : {}),
        timeZone: zone(),
      }),
  ).format(asDate(instant));
}

const DAY = 86_400_000;

function dayNumber(date: Date): number {
  const parts = kept('day', () => new Intl.DateTimeFormat('en-CA', { timeZone: zone() })).format(date);
  return Math.round(Date.parse(`${parts}T00:00:00Z`) / DAY);
}

/** As lists write it: `hoje, 09:30`, `ontem, 17:12`, `seg. 02:00`, then `12 mai.`, then `12 mai. 2025`. */
export function when(instant: Instant, now: number = Date.now()): string {
  const date = asDate(instant);
  const days = dayNumber(date) - dayNumber(new Date(now));
  const time = clockTime(date);
  if (Math.abs(days) <= 1) {
    const word = kept('rel', (l) => new Intl.RelativeTimeFormat(l, { numeric: 'auto' })).format(days, 'day');
    return `${word}, ${time}`;
  }
  if (Math.abs(days) < 7) {
    return `${kept('wd', (l) => new Intl.DateTimeFormat(l, { weekday: 'short', timeZone: zone() })).format(date)} ${time}`;
  }
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return kept(
    `d${sameYear}`,
    (l) =>
      new Intl.DateTimeFormat(l, {
        day: 'numeric',
        month: 'short',
        timeZone: zone(),
        ...(sameYear ? {} : { year: 'numeric' as const }),
      }),
  ).format(date);
}

/** As a column of times to come writes it: `10:30` today, else as lists do. */
export const nextTime = (instant: Instant, now: number = Date.now()): string =>
  dayNumber(asDate(instant)) === dayNumber(new Date(now)) ? clockTime(instant) : when(instant, now);

/** `há 32 min`, `em 1 h 58 min`; from seven days on the date itself. */
export function relative(instant: Instant, now: number = Date.now()): string {
  const ms = asDate(instant).getTime() - now;
  const size = Math.abs(ms);
  if (size >= 7 * DAY) return when(instant, now);
  const text = size < 60_000 ? `${Math.floor(size / 1000)} s` : shortSpan(size);
  if (language() === 'pt-BR') return ms > 0 ? `em ${text}` : `há ${text}`;
  return ms > 0 ? `in ${text}` : `${text} ago`;
}

function shortSpan(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${two(minutes % 60)} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** For a hint on hover: the whole instant with its zone, and ISO. */
export function fullInstant(instant: Instant): string {
  const date = asDate(instant);
  const text = kept(
    'full',
    (l) => new Intl.DateTimeFormat(l, { dateStyle: 'full', timeStyle: 'long', timeZone: zone() }),
  ).format(date);
  return `${text} · ${date.toISOString()}`;
}

/** Without accents and case, so that `conciliacao` finds `Conciliação`. */
export const folded = (text: string): string => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

/** `seg.`, `mon`; 0 is Sunday. */
export function weekdayName(day: number): string {
  const sunday = Date.UTC(2024, 0, 7);
  return kept('wdu', (l) => new Intl.DateTimeFormat(l, { weekday: 'short', timeZone: 'UTC' })).format(sunday + day * DAY);
}

/** For an axis: `qua. 12:00`, `18:00`, `12 mai.` */
export function axisDay(instant: Instant): string {
  return kept('ax', (l) => new Intl.DateTimeFormat(l, { weekday: 'short', timeZone: zone() })).format(asDate(instant));
}

export function axisDate(instant: Instant): string {
  return kept('axd', (l) => new Intl.DateTimeFormat(l, { day: 'numeric', month: 'short', timeZone: zone() })).format(
    asDate(instant),
  );
}

/** The hour on the clock of the view, 0 to 23. */
export function hourOf(instant: Instant): number {
  return Number(
    kept('h', () => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', hourCycle: 'h23', timeZone: zone() })).format(asDate(instant)),
  );
}
