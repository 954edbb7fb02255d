import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { when } from '@/lib/format';
import { useKeys } from '@/lib/keys';

import type { RunFilters } from './explorer-api';

const STATUSES = [
  'failed',
  'timed_out',
  'crashed',
  'running',
  'queued',
  'waiting',
  'succeeded',
  'cancelled',
  'skipped',
] as const;
const TRIGGERS = ['manual', 'schedule', 'interval', 'webhook', 'event'] as const;
const SPANS = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000, month: 30 * 86_400_000 } as const;
const TYPED_MS = 300;

interface Props {
  filters: RunFilters;
  onChange: (change: RunFilters) => void;
}

export function RunFilterBar({ filters, onChange }: Props) {
  const { t } = useTranslation('runs');
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
  useKeys({ '/': () => document.getElementById('runs-q')?.focus() });
  const broken = filters.status === 'failed,timed_out,crashed';
  return (
    <div className="filters" role="search">
      <label className="find-in">
        <Icon name="search" small />
        <span className="sr">{t('list.search')}</span>
        <input
          id="runs-q"
          type="search"
          value={q}
          placeholder={t('list.search')}
          onChange={(event) => setQ(event.target.value)}
        />
      </label>
      <button
        type="button"
        className="btn"
        aria-pressed={broken}
        onClick={() => onChange({ status: broken ? undefined : 'failed,timed_out,crashed' })}
      >
        {t('list.broken')}
      </button>
      <select
        className="btn"
        aria-label={t('list.status')}
        value={broken ? '' : (filters.status ?? '')}
        onChange={(event) => onChange({ status: event.target.value || undefined })}
      >
        <option value="">{t('list.any_status')}</option>
        {STATUSES.map((status) => (
          <option key={status} value={status}>
            {t(`status.${status}`, { ns: 'common' })}
          </option>
        ))}
      </select>
      <select
        className="btn"
        aria-label={t('list.trigger')}
        value={filters.trigger ?? ''}
        onChange={(event) => onChange({ trigger: event.target.value || undefined })}
      >
        <option value="">{t('list.any_trigger')}</option>
        {TRIGGERS.map((trigger) => (
          <option key={trigger} value={trigger}>
            {t(`trigger.${trigger}`, { ns: 'common' })}
          </option>
        ))}
      </select>
      <select
        className="btn"
        aria-label={t('list.since')}
        value=""
        onChange={(event) => {
          const span = SPANS[event.target.value as keyof typeof SPANS];
          onChange({ from: span ? new Date(Date.now() - span).toISOString() : undefined });
        }}
      >
        <option value="">{filters.from ? t('list.from', { when: when(filters.from) }) : t('list.any_time')}</option>
        {(Object.keys(SPANS) as (keyof typeof SPANS)[]).map((span) => (
          <option key={span} value={span}>
            {t(`list.span.${span}`)}
          </option>
        ))}
        {filters.from && <option value="all">{t('list.any_time')}</option>}
      </select>
      {filters.flow !== undefined && (
        <button
          type="button"
          className="chip idle"
          onClick={() => onChange({ flow: undefined })}
          aria-label={t('list.without_flow', { flow: filters.flow })}
        >
          {filters.flow}
          <Icon name="x" small />
        </button>
      )}
    </div>
  );
}
