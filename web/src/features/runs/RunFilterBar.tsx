import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';

import { FilterSearch } from '@/components/ui/FilterSearch';
import { Icon } from '@/components/ui/Icon';
import { when } from '@/lib/format';
import { SPAN_NAMES, since } from '@/lib/spans';

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

interface Props {
  filters: RunFilters;
  onChange: (change: RunFilters) => void;
}

export function RunFilterBar({ filters, onChange }: Props) {
  const { t } = useTranslation('runs');
  const search = useCallback((q: string | undefined) => onChange({ q }), [onChange]);
  const broken = filters.status === 'failed,timed_out,crashed';
  return (
    <div className="filters" role="search">
      <FilterSearch id="runs-q" label={t('list.search')} value={filters.q} onChange={search} />
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
          onChange({ from: since(event.target.value) });
        }}
      >
        <option value="">{filters.from ? t('list.from', { when: when(filters.from) }) : t('list.any_time')}</option>
        {SPAN_NAMES.map((span) => (
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
