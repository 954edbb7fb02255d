import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';

import { FilterSearch } from '@/components/ui/FilterSearch';
import { Icon } from '@/components/ui/Icon';
import { when } from '@/lib/format';
import { SPAN_NAMES, since } from '@/lib/spans';

import { LEVELS, type LogFilters } from './api';

interface Props {
  filters: LogFilters;
  onChange: (change: LogFilters) => void;
}

export function LogFilterBar({ filters, onChange }: Props) {
  const { t } = useTranslation('logs');
  const search = useCallback((q: string | undefined) => onChange({ q }), [onChange]);
  return (
    <div className="filters" role="search">
      <FilterSearch id="logs-q" label={t('search')} value={filters.q} onChange={search} />
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
          onChange({ from: since(event.target.value), to: undefined });
        }}
      >
        <option value="" disabled>
          {filters.from ? t('from', { when: when(filters.from) }) : t('span.day')}
        </option>
        {SPAN_NAMES.map((span) => (
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
