import { useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { Mark } from '@/components/ui/StatusMark';
import { number } from '@/lib/format';

import type { Shown } from './log-store';

interface Props {
  shown: Shown;
  query: string;
  onQuery: (query: string) => void;
  level: string | undefined;
  onLevel: (level: string | undefined) => void;
  current: number | undefined;
  onJump: (by: 1 | -1) => void;
}

export function LogTools({ shown, query, onQuery, level, onLevel, current, onJump }: Props) {
  const { t } = useTranslation('runs');
  const input = useRef<HTMLInputElement>(null);
  const counts = shown.index?.levels ?? {};
  const errors = (counts.error ?? 0) + (counts.critical ?? 0);
  const place = current === undefined ? 0 : shown.found.indexOf(current) + 1;
  const level2 = (value: string | undefined): void => onLevel(level === value ? undefined : value);
  return (
    <div className="lgt" role="search">
      <label className="inp">
        <Icon name="search" small />
        <span className="sr">{t('log.search')}</span>
        <input
          id="log-search"
          ref={input}
          type="search"
          value={query}
          placeholder={t('log.search')}
          onChange={(event) => onQuery(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') onJump(event.shiftKey ? -1 : 1);
            if (event.key === 'Escape') onQuery('');
          }}
        />
        {query && (
          <span className="num" role="status" data-testid="log-found">
            {shown.foundFor !== query && '…'}
            {shown.foundFor === query &&
              (place > 0
                ? t('log.place', { place: number(place), total: number(shown.found.length) })
                : t('log.found', { count: shown.found.length, total: number(shown.found.length) }))}
            {shown.foundFor === query && shown.cut && '+'}
          </span>
        )}
      </label>
      <button
        type="button"
        className="lv"
        aria-pressed={level === 'error'}
        aria-label={t('log.errors', { count: errors })}
        onClick={() => level2('error')}
      >
        <Mark shape="err" />
        <span className="num">{number(errors)}</span>
      </button>
      <button
        type="button"
        className="lv"
        aria-pressed={level === 'warning'}
        aria-label={t('log.warnings', { count: counts.warning ?? 0 })}
        onClick={() => level2('warning')}
      >
        <Mark shape="warn" />
        <span className="num">{number(counts.warning ?? 0)}</span>
      </button>
      <button type="button" className="lv" aria-pressed={level === undefined} onClick={() => onLevel(undefined)}>
        {t('log.all')}
      </button>
    </div>
  );
}
