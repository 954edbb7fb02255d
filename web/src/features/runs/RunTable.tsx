import { Link, useNavigate } from '@tanstack/react-router';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { RunBrief } from '@/api/runs';
import { StatusMark, type Status } from '@/components/ui/StatusMark';
import { duration, fullInstant, when } from '@/lib/format';
import { useKeys } from '@/lib/keys';
import { useMinute } from '@/lib/clock';

import type { RunFilters } from './explorer-api';

const AHEAD = 20;

interface Props {
  runs: RunBrief[];
  chosen: ReadonlySet<string>;
  everything: boolean;
  onChosen: (next: ReadonlySet<string>) => void;
  more: boolean;
  onMore: () => void;
  onFilter: (change: RunFilters) => void;
}

/** Windowed by the page's own scrolling: however far it goes, few rows are in the document. */
export function RunTable({ runs, chosen, everything, onChosen, more, onMore, onFilter }: Props) {
  const { t } = useTranslation('runs');
  const navigate = useNavigate();
  const box = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(-1);
  const narrow = useNarrow();
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => setMargin(box.current?.offsetTop ?? 0), []);
  const rows = useWindowVirtualizer({
    count: runs.length,
    estimateSize: () => (narrow ? 76 : 48),
    overscan: 10,
    scrollMargin: margin,
    getItemKey: (index) => runs[index]?.id ?? index,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= runs.length - AHEAD) onMore();
  }, [more, last, runs.length, onMore]);
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    onChosen(next);
  };
  const move = (by: number): void => {
    const next = Math.min(Math.max(active + by, 0), runs.length - 1);
    setActive(next);
    rows.scrollToIndex(next);
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-index="${next}"] a`)?.focus());
  };
  const open = (): void => {
    const run = runs[active];
    if (run) void navigate({ to: '/runs/$id', params: { id: run.id }, search: {} });
  };
  useKeys({ j: () => move(1), k: () => move(-1), o: open, x: () => runs[active] && toggle(runs[active].id) });
  const all = everything || (runs.length > 0 && chosen.size === runs.length);
  return (
    <div
      key={narrow ? 'narrow' : 'wide'}
      role="table"
      aria-label={t('list.title')}
      aria-rowcount={runs.length}
      className="rt"
      ref={box}
    >
      <div role="row" className="rt-h">
        <span role="columnheader">
          <input
            type="checkbox"
            aria-label={t('list.choose_shown')}
            checked={all}
            onChange={() => onChosen(all ? new Set() : new Set(runs.map((run) => run.id)))}
          />
        </span>
        <span role="columnheader">{t('list.run')}</span>
        <span role="columnheader">{t('list.last')}</span>
        <span role="columnheader">{t('list.when')}</span>
        <span role="columnheader">{t('list.took')}</span>
        <span role="columnheader">{t('list.trigger')}</span>
      </div>
      <div role="rowgroup" style={{ height: rows.getTotalSize(), position: 'relative' }}>
        {items.map((item) => {
          const run = runs[item.index];
          return (
            run && (
              <Row
                key={item.key}
                run={run}
                index={item.index}
                height={item.size}
                top={item.start - margin}
                chosen={everything || chosen.has(run.id)}
                active={item.index === active}
                onChoose={toggle}
                onFilter={onFilter}
              />
            )
          );
        })}
      </div>
    </div>
  );
}

interface RowProps {
  run: RunBrief;
  index: number;
  top: number;
  height: number;
  chosen: boolean;
  active: boolean;
  onChoose: (id: string) => void;
  onFilter: (change: RunFilters) => void;
}

function Row({ run, index, top, height, chosen, active, onChoose, onFilter }: RowProps) {
  const { t } = useTranslation('runs');
  const now = useMinute();
  const took = run.finished_at ? duration(Date.parse(run.finished_at) - Date.parse(run.created_at)) : '—';
  return (
    <div
      role="row"
      className={['rt-r', chosen && 'chosen', active && 'active'].filter(Boolean).join(' ')}
      data-index={index}
      style={{ transform: `translateY(${top}px)`, height }}
    >
      <span role="cell">
        <input
          type="checkbox"
          aria-label={t('list.choose', { flow: run.flow, number: run.number })}
          checked={chosen}
          onChange={() => onChoose(run.id)}
        />
      </span>
      <span role="cell" className="rt-n">
        <StatusMark status={run.status} />
        <Link to="/runs/$id" params={{ id: run.id }} search={{}} className="num">
          #{run.number}
        </Link>
        <button
          type="button"
          className="linklike trunc"
          title={t('list.only_flow', { flow: run.flow })}
          onClick={() => onFilter({ flow: run.flow })}
        >
          {run.flow}
        </button>
      </span>
      <span role="cell" className={run.error ? 'trunc t-err rt-l' : 'trunc dim rt-l'}>
        {run.error
          ? [run.error.step, run.error.message].filter(Boolean).join(': ')
          : t(`status.${run.status as Status}`, { ns: 'common' })}
      </span>
      <span role="cell" className="num rt-w" title={fullInstant(run.created_at)}>
        {when(run.created_at, now)}
      </span>
      <span role="cell" className="num rt-d">
        {took}
      </span>
      <span role="cell" className="dim rt-t">
        {t(`trigger.${run.trigger.type as 'manual'}`, { ns: 'common', defaultValue: run.trigger.type })} · v
        {run.version}
      </span>
    </div>
  );
}

function useNarrow(): boolean {
  const query = '(max-width: 720px)';
  const [narrow, setNarrow] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const changed = (): void => setNarrow(media.matches);
    media.addEventListener('change', changed);
    return () => media.removeEventListener('change', changed);
  }, []);
  return narrow;
}
