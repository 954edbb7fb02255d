import { useQueries } from '@tanstack/react-query';
import { useCallback, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { hasEnded, type Run, type Step } from '@/api/runs';
import { Icon } from '@/components/ui/Icon';
import { StatusMark, toneOf } from '@/components/ui/StatusMark';
import { duration } from '@/lib/format';

import { stepsQuery } from './api';
import { rowsOf, scaleOf, spanOf, type Bar, type Row, type Scale } from './waterfall';

const ROW = 40;
const WINDOWED_FROM = 100;
const BEYOND = 15;

interface Props {
  run: Run;
  steps: Step[];
  document: unknown;
  now: number;
  shorten: boolean;
  typicalMs: number | null;
  selected: string | undefined;
  onSelect: (key: string | undefined, attempt?: number) => void;
}

/** One line for each step: queue dashed, work solid, pauses dotted, failures hatched. */
export function Waterfall({ run, steps, document, now, shorten, typicalMs, selected, onSelect }: Props) {
  const { t } = useTranslation('runs');
  const [open, setOpen] = useState<string[]>([]);
  const [top, setTop] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const items = useItems(run.id, open);
  const rows = useMemo(() => rowsOf(steps, document, now, items), [steps, document, now, items]);
  const scale = useMemo(() => scaleOf(spanOf(run, rows, now), rows, shorten), [run, rows, now, shorten]);
  const windowed = rows.length > WINDOWED_FROM;
  const first = windowed ? Math.max(Math.floor(top / ROW) - BEYOND, 0) : 0;
  const shown = windowed ? rows.slice(first, first + 14 + BEYOND * 2) : rows;
  const toggle = useCallback((key: string) => {
    setOpen((keys) => (keys.includes(key) ? keys.filter((each) => each !== key) : [...keys, key]));
  }, []);
  const move = (event: KeyboardEvent): void => {
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    const next = rows[rows.findIndex((row) => row.key === selected) + by];
    if (!next && by > 0) return;
    onSelect(next?.key);
    box.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(next?.key ?? '')}"]`)?.focus();
  };
  const end = run.finished_at === null ? now : Date.parse(run.finished_at);
  return (
    // The rows within take the focus, and the arrows go from one to the next.
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus
    <div
      className="wf"
      role="grid"
      aria-label={t('waterfall.label')}
      aria-rowcount={rows.length + 1}
      onKeyDown={move}
      ref={box}
    >
      <Ruler scale={scale} />
      <div
        className={windowed ? 'wf-rows windowed' : 'wf-rows'}
        role="rowgroup"
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      >
        {windowed && <div style={{ height: first * ROW }} />}
        {!windowed && (
          <div
            className={selected === undefined ? 'r sel' : 'r'}
            role="row"
            tabIndex={selected === undefined ? 0 : -1}
            data-key=""
            aria-selected={selected === undefined}
            onClick={() => onSelect(undefined)}
            onKeyDown={(event) => event.key === 'Enter' && onSelect(undefined)}
          >
            <div className="nm root" role="rowheader">
              <StatusMark status={run.status} />
              <span className="trunc">{t('waterfall.whole')}</span>
            </div>
            <div className="lane" role="gridcell">
              <Gaps scale={scale} />
              <i className="b root" style={{ left: '0%', width: `${scale.at(end)}%` }} />
              {!hasEnded(run) && typicalMs !== null && (
                <i
                  className="typical"
                  style={{ left: `${scale.at(Date.parse(run.created_at) + typicalMs)}%` }}
                  title={t('head.usual', { time: duration(typicalMs) })}
                />
              )}
            </div>
            <div className="d" role="gridcell">
              {duration(end - Date.parse(run.created_at))}
            </div>
          </div>
        )}
        {shown.map((row) => (
          <Line
            key={row.key}
            row={row}
            scale={scale}
            selected={row.key === selected}
            open={open.includes(row.key)}
            onSelect={onSelect}
            onToggle={toggle}
          />
        ))}
        {windowed && <div style={{ height: Math.max(rows.length - first - shown.length, 0) * ROW }} />}
      </div>
    </div>
  );
}

function useItems(run: string, open: string[]): Record<string, Step[]> {
  return useQueries({
    queries: open.map((key) => stepsQuery(run, key)),
    combine: (loaded) => Object.fromEntries(open.map((key, index) => [key, loaded[index]?.data ?? []])),
  });
}

function Ruler({ scale }: { scale: Scale }) {
  const { t } = useTranslation('runs');
  return (
    <div className="hrow" role="row">
      <span role="columnheader">{t('waterfall.step')}</span>
      <div className="ticks" role="columnheader" aria-label={t('waterfall.time')}>
        {scale.ticks.map((tick) => (
          <span
            key={`${tick.left}`}
            className={tick.skipped ? 'brk' : tick.ms === 0 ? 'k' : undefined}
            style={{ left: `${tick.left}%` }}
          >
            {tick.skipped ? `+${duration(tick.ms)}` : tick.ms === 0 ? '0 s' : duration(tick.ms)}
          </span>
        ))}
      </div>
      <span role="columnheader">{t('waterfall.duration')}</span>
    </div>
  );
}

function Gaps({ scale }: { scale: Scale }) {
  return scale.stretches.map(
    (each) =>
      each.skipped && (
        <span key={each.from} className="gapb" style={{ left: `${each.left}%`, width: `${each.width}%` }} />
      ),
  );
}

interface LineProps {
  row: Row;
  scale: Scale;
  selected: boolean;
  open: boolean;
  onSelect: (key: string, attempt?: number) => void;
  onToggle: (key: string) => void;
}

function Line({ row, scale, selected, open, onSelect, onToggle }: LineProps) {
  const { t } = useTranslation('runs');
  const items = row.step?.items;
  return (
    <div
      className={selected ? 'r sel' : 'r'}
      role="row"
      data-key={row.key}
      tabIndex={selected ? 0 : -1}
      aria-selected={selected}
      onClick={() => onSelect(row.key)}
      onKeyDown={(event) => event.key === 'Enter' && onSelect(row.key)}
    >
      <div className="nm" role="rowheader" style={{ paddingLeft: 16 + Math.min(row.depth, 6) * 14 }}>
        <StatusMark status={row.status} />
        <span className="trunc">{row.label}</span>
        {items && items.total > 0 && (
          <button
            type="button"
            className="fold"
            aria-expanded={open}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(row.key);
            }}
          >
            <Icon name={open ? 'chevd' : 'chev'} small />
            {items.failed > 0
              ? t('waterfall.items_failed', { count: items.total, failed: items.failed })
              : t('waterfall.items', { count: items.total })}
          </button>
        )}
      </div>
      <div className="lane" role="gridcell">
        <Gaps scale={scale} />
        {row.bars.map((bar) => (
          <BarMark key={`${bar.kind}${bar.from}`} bar={bar} row={row} scale={scale} onSelect={onSelect} />
        ))}
      </div>
      <div className="d" role="gridcell">
        {row.step?.reused_from
          ? t('waterfall.reused')
          : row.ms === null
            ? t(`waterfall.none.${row.status === 'skipped' ? 'skipped' : 'pending'}`)
            : duration(row.ms)}
      </div>
    </div>
  );
}

function BarMark({ bar, row, scale, onSelect }: { bar: Bar; row: Row; scale: Scale; onSelect: LineProps['onSelect'] }) {
  const { t } = useTranslation('runs');
  const left = scale.at(bar.from);
  const width = Math.max(scale.at(bar.to) - left, bar.kind === 'work' ? 0.6 : 0);
  const times = { attempt: bar.attempt, time: duration(bar.to - bar.from), step: row.label };
  const place = { left: `${Math.min(left, 99.4)}%`, width: `${width}%` };
  if (bar.kind !== 'work') {
    return (
      <i className={bar.kind === 'queue' ? 'b q' : 'b w'} style={place} title={t(`waterfall.bar.${bar.kind}`, times)} />
    );
  }
  const tone = toneOf(bar.status);
  const many = row.bars.filter((each) => each.kind === 'work').length > 1;
  return (
    <button
      type="button"
      tabIndex={-1}
      className={`b ${tone}`}
      style={place}
      title={t('waterfall.bar.work', times)}
      aria-label={
        many
          ? `${t('waterfall.nth', { n: bar.attempt })}: ${t('waterfall.bar.work', times)}`
          : t('waterfall.bar.work', times)
      }
      onClick={(event) => {
        event.stopPropagation();
        onSelect(row.key, bar.attempt);
      }}
    >
      {many && t('waterfall.nth', { n: bar.attempt })}
    </button>
  );
}
