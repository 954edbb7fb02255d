import './waterline.css';

import { useState, type KeyboardEvent, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { Dashboard } from '@/api/flows';
import { axisDate, axisDay, clockTime, hourOf, number } from '@/lib/format';

import { drawing, HEIGHT_ABOVE, LEFT, TOP, WIDTH, type Drawing } from './drawing';

type Bucket = Dashboard['buckets'][number];

export interface Bracket {
  label: string;
  from: string;
  to: string;
}

interface Props {
  dashboard: Dashboard;
  brackets: Bracket[];
  /** Opens the runs of one bucket. */
  onOpen: (from: string, to: string) => void;
}

/** Time is a line of water with now standing in it: what worked rises, what failed sinks, what comes stands hollow. */
export function Waterline({ dashboard, brackets, onOpen }: Props) {
  const { t } = useTranslation('dashboard');
  const [chosen, setChosen] = useState<number | null>(null);
  const drawn = drawing(dashboard);
  const { totals, buckets } = dashboard;
  const at = chosen ?? dashboard.past - 1;
  const bucket = buckets[at];
  const open = (place: number): void => {
    const from = buckets[place]?.at;
    if (from && place < dashboard.past) onOpen(from, endOf(dashboard, from));
  };
  const pressed = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buckets.length - 1 };
    const next = steps[event.key];
    if (next !== undefined) setChosen(Math.min(buckets.length - 1, Math.max(0, next)));
    else if (event.key === 'Enter') open(at);
    else return;
    event.preventDefault();
  };
  const pointed = (event: PointerEvent): number | null => {
    const box = event.currentTarget.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH - LEFT;
    const place = Math.floor(x / drawn.step);
    return x >= 0 && place < buckets.length ? place : null;
  };
  return (
    <div className="wl-frame">
      <div className="wl-scroll" ref={scrolledToNow(drawn)}>
        <div
          className="wl-keys"
          role="slider"
          tabIndex={0}
          aria-label={t('waterline.title')}
          aria-valuemin={0}
          aria-valuemax={buckets.length - 1}
          aria-valuenow={at}
          aria-valuetext={bucket ? readOut(bucket) : ''}
          onKeyDown={pressed}
          onBlur={() => setChosen(null)}
          onPointerMove={(event) => setChosen(pointed(event))}
          onPointerLeave={() => setChosen(null)}
          onPointerUp={(event) => {
            const place = pointed(event);
            if (place !== null) open(place);
          }}
        >
          <svg className="wl" viewBox={`0 0 ${WIDTH} ${drawn.height}`} role="img" aria-labelledby="wl-sentence">
            <title id="wl-sentence">
              {t('waterline.sentence', {
                ok: number(totals.ok),
                failed: number(totals.failed),
                scheduled: number(totals.scheduled),
              })}
            </title>
            <Backdrop drawn={drawn} dashboard={dashboard} />
            <Bars drawn={drawn} dashboard={dashboard} chosen={chosen} brackets={brackets} />
            <Now drawn={drawn} dashboard={dashboard} />
            {brackets.map((bracket) => (
              <BracketMark key={bracket.label} drawn={drawn} dashboard={dashboard} bracket={bracket} />
            ))}
          </svg>
        </div>
      </div>
      <p className="wl-read" aria-hidden="true">
        {chosen !== null && bucket ? readOut(bucket) : '\u00A0'}
      </p>
    </div>
  );

  function readOut(one: Bucket): string {
    const to = endOf(dashboard, one.at);
    const span = dashboard.window === '30d' ? axisDate(one.at) : `${axisDay(one.at)} ${clockTime(one.at)}–${clockTime(to)}`;
    const parts = [t('waterline.ok', { count: one.ok }), t('waterline.failed', { count: one.failed })];
    if (one.other) parts.push(t('waterline.other', { count: one.other }));
    const past = [t('waterline.scheduled', { count: one.scheduled })];
    const said = Date.parse(one.at) > Date.parse(dashboard.now) ? past : one.scheduled ? [...parts, ...past] : parts;
    return `${span}: ${said.join(', ')}`;
  }
}

const endOf = (dashboard: Dashboard, from: string): string =>
  new Date(Date.parse(from) + dashboard.bucket_seconds * 1000).toISOString();

/** On narrow screens the chart scrolls in its own box and opens at now. */
const scrolledToNow =
  (drawn: Drawing) =>
  (box: HTMLDivElement | null): void => {
    if (box && box.scrollLeft === 0 && box.scrollWidth > box.clientWidth) {
      box.scrollLeft = Math.max(0, (drawn.nowX / WIDTH) * box.scrollWidth - box.clientWidth * 0.72);
    }
  };

function Backdrop({ drawn, dashboard }: { drawn: Drawing; dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  const waves = [13, 28].map((y) => `M${LEFT} ${drawn.line + y}${'q12 -4 24 0t24 0'.repeat(Math.ceil((WIDTH - LEFT) / 48))}`);
  return (
    <>
      {dashboard.window === '24h' &&
        nights(dashboard).map(([from, to]) => (
          <g key={from}>
            <rect className="wl-night" x={LEFT + from * drawn.step} y={TOP} width={(to - from) * drawn.step} height={HEIGHT_ABOVE} />
            {to - from > 5 && (
              <text className="wl-axis" x={LEFT + from * drawn.step + 6} y={TOP + 14}>
                {t('waterline.night')}
              </text>
            )}
          </g>
        ))}
      {drawn.grid.map((value) => (
        <g key={value}>
          <path className="wl-grid" d={`M${LEFT} ${drawn.line - value * drawn.scale}H${WIDTH}`} />
          <text className="wl-axis" x={LEFT - 7} y={drawn.line - value * drawn.scale + 4} textAnchor="end">
            {number(value)}
          </text>
        </g>
      ))}
      <rect className="wl-water" x={LEFT} y={drawn.line} width={WIDTH - LEFT} height={drawn.below} />
      {waves.map((wave, place) => (
        <path key={wave} className={`wl-wave wl-wave-${place}`} d={wave} />
      ))}
      <path className="wl-line" d={`M${LEFT} ${drawn.line}H${WIDTH}`} />
      {ticks(dashboard).map(({ place, label }) => (
        <g key={place}>
          <path className="wl-grid" d={`M${LEFT + place * drawn.step} ${drawn.line + drawn.below}v5`} />
          <text className="wl-axis" x={LEFT + place * drawn.step} y={drawn.line + drawn.below + 18} textAnchor="middle">
            {label}
          </text>
        </g>
      ))}
    </>
  );
}

interface BarsProps {
  drawn: Drawing;
  dashboard: Dashboard;
  chosen: number | null;
  brackets: Bracket[];
}

function Bars({ drawn, dashboard, chosen, brackets }: BarsProps) {
  // Below a bracket its own sentence has the number.
  const bracketed = (place: number): boolean =>
    brackets.some((bracket) => {
      const [first, last] = placesOf(dashboard, bracket);
      return last - first >= 2 && place >= first && place <= last;
    });
  const width = drawn.step - 5.5;
  const { line, scale } = drawn;
  return (
    <>
      <defs>
        <pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect className="wl-hatch" width="5" height="5" />
          <rect className="wl-hatch-gap" width="1.6" height="5" />
        </pattern>
      </defs>
      {chosen !== null && (
        <rect className="wl-chosen" x={LEFT + chosen * drawn.step} y={TOP} width={drawn.step} height={HEIGHT_ABOVE + drawn.below} />
      )}
      {dashboard.buckets.map((bucket, place) => {
        const x = LEFT + place * drawn.step + 3;
        const sunk = Math.max(9, bucket.failed * scale);
        const stacked = bucket.ok * scale + (bucket.ok ? 2 : 0);
        return (
          <g key={bucket.at}>
            {bucket.ok > 0 && (
              <rect className="wl-ok" x={x} y={line - Math.max(2, bucket.ok * scale) - 1} width={width} height={Math.max(2, bucket.ok * scale)} rx={1.5} />
            )}
            {bucket.failed > 0 && <rect fill="url(#hatch)" x={x} y={line + 1.5} width={width} height={sunk} rx={1.5} />}
            {bucket.failed > 1 && !bracketed(place) && (
              <text className="wl-fail" x={x + width / 2} y={line + sunk + 13} textAnchor="middle">
                {number(bucket.failed)}
              </text>
            )}
            {bucket.scheduled > 0 && (
              <rect
                className="wl-next"
                x={x + 0.8}
                y={line - Math.max(5, bucket.scheduled * scale) - 1 - (place < dashboard.past ? stacked : 0)}
                width={width - 1.6}
                height={Math.max(5, bucket.scheduled * scale)}
                rx={1.5}
              />
            )}
          </g>
        );
      })}
    </>
  );
}

function Now({ drawn, dashboard }: { drawn: Drawing; dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  return (
    <>
      <path className="wl-now" d={`M${drawn.nowX} 10V${drawn.line + drawn.below}`} />
      <rect className="wl-now-flag" x={drawn.nowX - 40} y={0} width={80} height={19} rx={3} />
      <text className="wl-now-text" x={drawn.nowX} y={13.5} textAnchor="middle">
        {t('waterline.now', { time: clockTime(dashboard.now) })}
      </text>
    </>
  );
}

function BracketMark({ drawn, dashboard, bracket }: { drawn: Drawing; dashboard: Dashboard; bracket: Bracket }) {
  const [first, last] = placesOf(dashboard, bracket);
  if (last - first < 2) return null;
  const [x, end] = [LEFT + first * drawn.step + 3, LEFT + (last + 1) * drawn.step - 2.5];
  const y = drawn.line + drawn.deepest + 6;
  return (
    <>
      <path className="wl-bracket" d={`M${x} ${y}v4H${end}v-4`} />
      <text className="wl-fail" x={(x + end) / 2} y={y + 16} textAnchor="middle">
        {bracket.label}
      </text>
    </>
  );
}

/** The buckets in which a bracket begins and ends. */
function placesOf(dashboard: Dashboard, bracket: Bracket): [number, number] {
  const start = Date.parse(dashboard.buckets[0]?.at ?? dashboard.now);
  const place = (at: string): number =>
    Math.min(dashboard.past - 1, Math.max(0, Math.floor((Date.parse(at) - start) / (dashboard.bucket_seconds * 1000))));
  return [place(bracket.from), place(bracket.to)];
}

/** From 22:00 to 06:00, as places of buckets. */
function nights(dashboard: Dashboard): [number, number][] {
  const found: [number, number][] = [];
  let from: number | null = null;
  for (const [place, bucket] of dashboard.buckets.entries()) {
    const hour = hourOf(bucket.at);
    const dark = hour >= 22 || hour < 6;
    if (dark) from ??= place;
    else if (from !== null) {
      found.push([from, place]);
      from = null;
    }
  }
  if (from !== null) found.push([from, dashboard.buckets.length]);
  return found;
}

function ticks(dashboard: Dashboard): { place: number; label: string }[] {
  const found: { place: number; label: string }[] = [];
  let day = '';
  for (const [place, { at }] of dashboard.buckets.entries()) {
    const hour = hourOf(at);
    if (dashboard.window === '24h') {
      if (hour % 6 || clockTime(at).slice(-2) !== '00') continue;
      const label = axisDay(at) === day ? clockTime(at) : `${axisDay(at)} ${clockTime(at)}`;
      day = axisDay(at);
      found.push({ place, label });
    } else if (dashboard.window === '7d' ? hour < 4 : place % 5 === 0) {
      found.push({ place, label: dashboard.window === '7d' ? `${axisDay(at)} ${axisDate(at)}` : axisDate(at) });
    }
  }
  return found;
}
