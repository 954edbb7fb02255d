import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Dashboard } from '@/api/flows';
import { Icon } from '@/components/ui/Icon';
import { Waterline, type Bracket } from '@/components/waterline/Waterline';
import { clockTime, number, percent, relative, when } from '@/lib/format';

import { WINDOWS } from './api';

interface Props {
  dashboard: Dashboard;
  onOpen: (from: string, to: string) => void;
}

export function WaterlinePanel({ dashboard, onOpen }: Props) {
  const { t } = useTranslation(['dashboard', 'common']);
  const [table, setTable] = useState(false);
  const brackets: Bracket[] = dashboard.flows
    .filter((flow) => flow.state === 'failing' && flow.streak >= 3 && flow.failing_since && flow.last)
    .slice(0, 1)
    .map((flow) => ({
      label: t('waterline.bracket', { name: flow.name, count: flow.streak }),
      from: flow.failing_since ?? '',
      to: flow.last?.created_at ?? '',
    }));
  return (
    <section className="panel" aria-label={t('waterline.title')}>
      <div className="wlp">
        <div className="head">
          <h2>{t('waterline.title')}</h2>
          <div className="lg">
            <span>
              <i className="lg-ok" />
              {t('waterline.legend_ok')}
            </span>
            <span>
              <i className="lg-err" />
              {t('waterline.legend_failed')}
            </span>
            <span>
              <i className="lg-next" />
              {t('waterline.legend_next')}
            </span>
          </div>
          <div className="grow" />
          <button type="button" className="btn sm quiet" aria-pressed={table} onClick={() => setTable(!table)}>
            <Icon name={table ? 'report' : 'sheet'} small />
            <span className="lb">{t(table ? 'common:panel.as_chart' : 'common:panel.as_table')}</span>
          </button>
          <nav className="seg" aria-label={t('window.title')}>
            {WINDOWS.map((window) => (
              <Link
                key={window}
                to="/"
                search={window === '24h' ? {} : { window }}
                replace
                resetScroll={false}
                activeOptions={{ exact: true, includeSearch: true }}
                aria-current={dashboard.window === window ? 'true' : undefined}
              >
                {t(`window.${window}`)}
              </Link>
            ))}
          </nav>
        </div>
        {table ? <Table dashboard={dashboard} /> : <Waterline dashboard={dashboard} brackets={brackets} onOpen={onOpen} />}
      </div>
      <Ledger dashboard={dashboard} />
    </section>
  );
}

function Table({ dashboard }: { dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a box that scrolls must be reachable by keyboard
    <div className="wl-table" tabIndex={0} role="region" aria-label={t('waterline.title')}>
      <table>
        <thead>
          <tr>
            {(['from', 'ok', 'failed', 'other', 'scheduled'] as const).map((column) => (
              <th key={column} scope="col">
                {t(`table.${column}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {dashboard.buckets.map((bucket) => (
            <tr key={bucket.at}>
              <th scope="row">{when(bucket.at)}</th>
              <td>{number(bucket.ok)}</td>
              <td>{number(bucket.failed)}</td>
              <td>{number(bucket.other)}</td>
              <td>{number(bucket.scheduled)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Ledger({ dashboard }: { dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  const { totals, workers, window, next, buckets, bucket_seconds: seconds } = dashboard;
  const end = Date.parse(buckets.at(-1)?.at ?? dashboard.now) + seconds * 1000;
  const judged = totals.ok + totals.failed;
  const change = totals.before ? totals.runs / totals.before - 1 : null;
  const nextAt = next[0]?.at;
  const entries: [string, string, string, string?][] = [
    [
      t(`ledger.runs_${window}`),
      number(totals.runs),
      change === null ? '' : t('ledger.compared', { change: `${change < 0 ? '−' : '+'}${percent(Math.abs(change), 0)}` }),
    ],
    [t('ledger.ok'), judged ? percent(totals.ok / judged) : '—', judged ? t('ledger.ok_count', { count: totals.ok, n: number(totals.ok) }) : ''],
    [t('ledger.failed'), number(totals.failed), t('ledger.causes', { count: totals.causes }), totals.failed ? 't-err' : ''],
    [
      t('ledger.running'),
      number(totals.running),
      workers.workers ? t('ledger.slots', { count: workers.slots }) : t('ledger.no_worker'),
      totals.running ? 't-run' : '',
    ],
    [
      t('ledger.queued'),
      number(totals.queued),
      totals.oldest_queued_at ? t('ledger.oldest', { time: relative(totals.oldest_queued_at) }) : t('ledger.queue_empty'),
    ],
    [
      t('ledger.scheduled', { time: window === '24h' ? clockTime(end) : when(end) }),
      totals.scheduled_is_least ? t('ledger.at_least', { count: totals.scheduled }) : number(totals.scheduled),
      nextAt ? t('ledger.next', { time: relative(nextAt) }) : t('ledger.no_next'),
    ],
  ];
  return (
    <dl className="ledger" aria-label={t('ledger.title')}>
      {entries.map(([label, value, small, tone], place) => (
        <div key={label} data-testid={`ledger-${place}`}>
          <dt>{label}</dt>
          <dd className={tone || undefined}>
            <span>{value}</span> <small>{small}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}
