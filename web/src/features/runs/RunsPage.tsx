import './runs.css';

import { useInfiniteQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Listed, RunBrief } from '@/api/runs';
import { Page } from '@/components/layout/Page';
import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { number } from '@/lib/format';
import { useLive } from '@/lib/live';

import { BulkDialog } from './BulkDialog';
import { hasFilters, runsQuery, type BulkAction, type RunFilters } from './explorer-api';
import { RunFilterBar } from './RunFilterBar';
import { RunTable } from './RunTable';

/** Any of all runs: filters in the address, pages by cursor, and what can be done to one done to all of a filter. */
export function RunsPage() {
  const { t } = useTranslation('runs');
  const filters = useSearch({ from: '/shell/runs' });
  const navigate = useNavigate({ from: '/runs' });
  const query = useInfiniteQuery(runsQuery(filters));
  const client = useQueryClient();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [everything, setEverything] = useState(false);
  const [action, setAction] = useState<BulkAction | null>(null);
  const fresh = useNews(filters);
  const runs = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const first = query.data?.pages[0];
  const set = (change: RunFilters): void => {
    setChosen(new Set());
    setEverything(false);
    void navigate({ search: (old: RunFilters) => ({ ...old, ...change }) });
  };
  const reload = (): void => {
    fresh.clear();
    void client.resetQueries({ queryKey: ['runs', filters] });
  };
  const count = everything ? (first?.total ?? first?.total_at_least ?? 0) : chosen.size;
  return (
    <Page title={t('list.title')}>
      <div className="runs-h">
        <h1>{t('list.title')}</h1>
        {first && (
          <span className="dim num" role="status" data-testid="runs-total">
            {first.total_at_least === undefined
              ? t('list.results', { count: first.total ?? 0, total: number(first.total ?? 0) })
              : t('list.more_than', { total: number(first.total_at_least) })}
          </span>
        )}
      </div>
      <RunFilterBar filters={filters} onChange={set} />
      {fresh.count > 0 && (
        <button type="button" className="btn sm news" onClick={reload}>
          <Icon name="up" small />
          {t('list.news', { count: fresh.count })}
        </button>
      )}
      <section className="panel clip" aria-label={t('list.title')}>
        {query.isPending && <Skeleton rows={10} height={40} />}
        {query.error && <PanelError error={query.error} retry={() => void query.refetch()} />}
        {query.data && runs.length === 0 && (
          <div className="empty">
            <p>{hasFilters(filters) ? t('panel.empty_filtered', { ns: 'common' }) : t('list.empty')}</p>
            {hasFilters(filters) && (
              <button type="button" className="btn" onClick={() => void navigate({ search: {} })}>
                {t('action.clear_filters', { ns: 'common' })}
              </button>
            )}
          </div>
        )}
        {runs.length > 0 && (
          <RunTable
            runs={runs}
            chosen={chosen}
            everything={everything}
            onChosen={(next) => {
              setEverything(false);
              setChosen(next);
            }}
            more={query.hasNextPage && !query.isFetchingNextPage}
            onMore={() => void query.fetchNextPage()}
            onFilter={set}
          />
        )}
      </section>
      {(chosen.size > 0 || everything) && (
        <div className="bulkbar" role="region" aria-label={t('bulk.bar')}>
          <b>{t(everything ? 'bulk.all_chosen' : 'bulk.chosen', { count, total: number(count) })}</b>
          {!everything && hasFilters(filters) && (
            <button type="button" className="btn sm quiet" onClick={() => setEverything(true)}>
              {t('bulk.choose_all')}
            </button>
          )}
          <span className="grow" />
          <button type="button" className="btn go sm" onClick={() => setAction('repeat')}>
            <Icon name="retry" small />
            {t('bulk.repeat')}
          </button>
          <button type="button" className="btn bad sm" onClick={() => setAction('cancel')}>
            <Icon name="stop" small />
            {t('action.cancel', { ns: 'common' })}
          </button>
          <button
            type="button"
            className="btn sm quiet"
            onClick={() => {
              setChosen(new Set());
              setEverything(false);
            }}
          >
            {t('bulk.none')}
          </button>
        </div>
      )}
      {action && (
        <BulkDialog
          action={action}
          filters={filters}
          chosen={everything ? null : [...chosen]}
          onClose={(done) => {
            setAction(null);
            if (done > 0) reload();
          }}
        />
      )}
    </Page>
  );
}

const TOPICS = ['runs'];

type Pages = InfiniteData<Listed<RunBrief>, string | null>;

/** Rows that are shown change in place; new ones are counted, and come when they are asked for. */
function useNews(filters: RunFilters): { count: number; clear: () => void } {
  const client = useQueryClient();
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const key = runsQuery(filters).queryKey;
  useLive(
    TOPICS,
    (event) => {
      const data = event.data as { id: string; flow: string; status: string; error: RunBrief['error']; at: string };
      if (filters.flow !== undefined && data.flow !== filters.flow) return;
      const shown = client
        .getQueryData<Pages>(key as never)
        ?.pages.some((page) => page.items.some((run) => run.id === data.id));
      if (shown)
        client.setQueryData<Pages>(key as never, (old) => old && changed(old, data, event.kind === 'run.finished'));
      else if (event.kind === 'run.created') setIds((old) => new Set(old).add(data.id));
    },
    () => void client.invalidateQueries({ queryKey: key }),
  );
  return { count: ids.size, clear: () => setIds(new Set()) };
}

function changed(
  old: Pages,
  data: { id: string; status: string; error: RunBrief['error']; at: string },
  ended: boolean,
): Pages {
  const change = (run: RunBrief): RunBrief =>
    run.id === data.id
      ? {
          ...run,
          status: data.status,
          error: data.error,
          started_at: run.started_at ?? data.at,
          finished_at: ended ? data.at : run.finished_at,
        }
      : run;
  return { ...old, pages: old.pages.map((page) => ({ ...page, items: page.items.map(change) })) };
}
