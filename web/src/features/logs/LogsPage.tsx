import './logs.css';

import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Page } from '@/components/layout/Page';
import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { number, when } from '@/lib/format';
import { useLive } from '@/lib/live';

import { MOST, searchQuery, type Found, type LogFilters } from './api';
import { FoundLines } from './FoundLines';
import { LogFilterBar } from './LogFilterBar';
import { save, type FileKind } from './saving';

const FIRST = 200;
const KINDS: FileKind[] = ['txt', 'ndjson', 'ndjson.gz'];
const TOPICS = ['runs'];

/** A text in the logs of all runs. What is counted is what was found; a search that stopped says where. */
export function LogsPage() {
  const { t } = useTranslation('logs');
  const filters = useSearch({ from: '/shell/logs' });
  const navigate = useNavigate({ from: '/logs' });
  const client = useQueryClient();
  const [limit, setLimit] = useState(FIRST);
  const [stale, setStale] = useState(false);
  const search = useQuery({ ...searchQuery(filters, limit), placeholderData: keepPreviousData });
  const { error, isFetching, refetch } = search;
  // While more of the same search is on its way, what is there stays; of another search nothing does.
  const data = search.isPlaceholderData && limit === FIRST ? undefined : search.data;
  useLive(
    TOPICS,
    (event) => event.kind === 'run.finished' && filters.to === undefined && setStale(true),
    () => setStale(true),
  );
  const set = (change: LogFilters): void => {
    setLimit(FIRST);
    setStale(false);
    void navigate({ search: (old: LogFilters) => ({ ...old, ...change }) });
  };
  const again = (): void => {
    setStale(false);
    void client.invalidateQueries({ queryKey: ['logs'] });
  };
  return (
    <Page title={t('title')}>
      <div className="logs-h">
        <h1>{t('title')}</h1>
        {data && <Count found={data} busy={isFetching} />}
        <span className="grow" />
        {data && data.items.length > 0 && <Save found={data} />}
      </div>
      <LogFilterBar filters={filters} onChange={set} />
      {stale && (
        <button type="button" className="btn sm news" onClick={again}>
          <Icon name="retry" small />
          {t('again')}
        </button>
      )}
      <section className="panel clip" aria-label={t('title')}>
        {!data && !error && <Skeleton rows={10} height={28} />}
        {error && <PanelError error={error} retry={() => void refetch()} />}
        {data?.items.length === 0 && <p className="empty">{t(data.complete ? 'nothing' : 'nothing_yet')}</p>}
        {data && data.items.length > 0 && <FoundLines lines={data.items} query={filters.q ?? ''} onFilter={set} />}
        {data && !data.complete && (
          <div className="more">
            <p className="dim">{data.searched_to ? t('stopped', { when: when(data.searched_to) }) : t('cut')}</p>
            {limit < MOST && (
              <button type="button" className="btn" disabled={isFetching} onClick={() => setLimit(MOST)}>
                {t('action.show_more', { ns: 'common' })}
              </button>
            )}
          </div>
        )}
      </section>
    </Page>
  );
}

function Count({ found, busy }: { found: Found; busy: boolean }) {
  const { t } = useTranslation('logs');
  const runs = new Set(found.items.map((line) => line.run)).size;
  const lines = t('lines', { count: found.items.length, total: number(found.items.length) });
  return (
    <span className="dim num" role="status" aria-busy={busy} data-testid="logs-total">
      {t(found.complete ? 'count' : 'at_least', { lines, runs: t('runs', { count: runs, total: number(runs) }) })}
    </span>
  );
}

function Save({ found }: { found: Found }) {
  const { t } = useTranslation('logs');
  return (
    <div className="saves" role="group" aria-label={t(found.complete ? 'save' : 'save_part')}>
      <Icon name="down" small />
      {KINDS.map((kind) => (
        <button key={kind} type="button" className="btn sm quiet" onClick={() => void save(found.items, kind)}>
          .{kind}
        </button>
      ))}
      {!found.complete && <span className="hint">{t('part')}</span>}
    </div>
  );
}
