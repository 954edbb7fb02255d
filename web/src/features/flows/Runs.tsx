import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { PanelError, Skeleton } from '@/components/ui/Panel';
import { StatusMark, toneOf, type Status } from '@/components/ui/StatusMark';
import { When } from '@/components/ui/Time';
import { duration } from '@/lib/format';
import { link } from '@/lib/links';

import { flowRunsQuery, type RunItem } from './api';

export function Runs({ slug }: { slug: string }) {
  const { t } = useTranslation(['flows', 'common']);
  const query = useInfiniteQuery(flowRunsQuery(slug));
  const runs = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className="panel clip" aria-label={t('tab.runs')}>
      {query.error && !query.data && <PanelError error={query.error} retry={() => void query.refetch()} />}
      {query.isPending && (
        <div className="dialog-b">
          <Skeleton rows={6} height={36} />
        </div>
      )}
      {query.data && runs.length === 0 && <p className="empty">{t('last.never')}</p>}
      {runs.length > 0 && (
        <ol className="run-list">
          {runs.map((run) => (
            <RunLine key={run.id} run={run} />
          ))}
        </ol>
      )}
      {query.hasNextPage && (
        <div className="more">
          <button type="button" className="btn" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {t('common:action.show_more')}
          </button>
        </div>
      )}
    </section>
  );
}

function RunLine({ run }: { run: RunItem }) {
  const { t } = useTranslation(['flows', 'common']);
  const ms = run.finished_at === null ? null : Date.parse(run.finished_at) - Date.parse(run.started_at ?? run.created_at);
  return (
    <li>
      <StatusMark status={run.status} silent />
      <Link className="num" to={link.run(run.id)}>
        #{run.number}
      </Link>
      <span className={`t-${toneOf(run.status)} trunc grow`} title={run.error?.message}>
        {t(`common:status.${run.status as Status}`)}
        {run.error && ` · ${run.error.step ? `${run.error.step}: ` : ''}${run.error.message ?? run.error.type ?? ''}`}
      </span>
      <span className="muted wide">{t(`common:trigger.${run.trigger.type as 'manual'}`, { defaultValue: run.trigger.type })}</span>
      <span className="muted wide">v{run.version}</span>
      <span className="muted num">{ms === null ? '' : duration(ms)}</span>
      <span className="muted">
        <When at={run.created_at} />
      </span>
    </li>
  );
}
