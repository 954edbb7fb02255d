import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { when } from '@/lib/format';
import { useKeys } from '@/lib/keys';

import { LEVELS, type LogFilters } from './api';

const SPANS = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000, month: 30 * 86_400_000 } as const;
const TYPED_MS = 400;

interface Props {
  filters: LogFilters;
  onChange: (change: LogFilters) => void;
}

export function LogFilterBar({ filters, onChange }: Props) {
  const { t } = useTranslation('logs');
  const [q, setQ] = useState(filters.q ?? '');
  const [seen, setSeen] = useState(filters.q);
  if (seen !== filters.q) {
    setSeen(filters.q);
    setQ(filters.q ?? '');
  }
  useEffect(() => {
    if (q === (filters.q ?? '')) return undefined;
    const timer = setTimeout(() => onChange({ q: q || undefined }), TYPED_MS);
    return () => clearTimeout(timer);
  }, [q, filters.q, onChange]);
  useKeys({ '/': () => document.getElementById('logs-q')?.focus() });
  return (
    <div className="filters" role="search">
      <label className="find-in">
        <Icon name="search" small />
        <span className="sr">{t('search')}</span>
        <input
          id="logs-q"
          type="search"
          value={q}
          placeholder={t('search')}
          onChange={(event) => setQ(event.target.value)}
        />
      </label>
      <select
        className="btn"
        aria-label={t('level')}
        value={filters.level ?? ''}
        onChange={(event) => onChange({ level: LEVELS.find((level) => level === event.target.value) })}
      >
        <option value="">{t('any_level')}</option>
        {LEVELS.map((level) => (
          <option key={level} value={level}>
            {t(`levels.${level}`)}
          </option>
        ))}
      </select>
      <select
        className="btn"
        aria-label={t('since')}
        value=""
        onChange={(event) => {
          const span = SPANS[event.target.value as keyof typeof SPANS];
          onChange({ from: new Date(Date.now() - span).toISOString(), to: undefined });
        }}
      >
        <option value="" disabled>
          {filters.from ? t('from', { when: when(filters.from) }) : t('span.day')}
        </option>
        {(Object.keys(SPANS) as (keyof typeof SPANS)[]).map((span) => (
          <option key={span} value={span}>
            {t(`span.${span}`)}
          </option>
        ))}
      </select>
      {filters.flow !== undefined && (
        <button
          type="button"
          className="chip idle"
          aria-label={t('without', { name: filters.flow })}
          onClick={() => onChange({ flow: undefined })}
        >
          {filters.flow}
          <Icon name="x" small />
        </button>
      )}
      {filters.step !== undefined && (
        <button
          type="button"
          className="chip idle"
          aria-label={t('without', { name: filters.step })}
          onClick={() => onChange({ step: undefined })}
        >
          {filters.step}
          <Icon name="x" small />
        </button>
      )}
    </div>
  );
}
