import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { dashboardQuery } from '@/api/flows';
import { number } from '@/lib/format';

const FULL = 20;

/** The trough at the foot of the rail: how much waits, and who is there to do it. */
export function Trough() {
  const { t } = useTranslation('dashboard');
  const { data } = useQuery(dashboardQuery('24h'));
  if (!data) return null;
  const { totals, workers } = data;
  const level = 26 - Math.min(1, totals.queued / FULL) * 15;
  return (
    <div className="trough">
      <div className="row">
        <span className="grow">{t('trough.queue')}</span>
        <b className="num">{number(totals.queued)}</b>
      </div>
      <svg viewBox="0 0 160 34" aria-hidden="true">
        <path className="trough-wood" d="M4 8v14c0 5 3 8 8 8h136c5 0 8-3 8-8V8" />
        <path className="trough-water" d={`M7 ${level}c10-3 18 3 28 0s18 3 28 0 18 3 28 0 18 3 28 0 18 3 28 0 6 1 6 1V24c0 3-2 4-5 4H12c-3 0-5-1-5-4z`} />
      </svg>
      <div>{t('trough.workers', { count: workers.workers })}</div>
    </div>
  );
}
