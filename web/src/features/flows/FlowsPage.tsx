import './flows.css';

import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { FlowTable } from '@/components/flow-table/FlowTable';
import { Page } from '@/components/layout/Page';
import { useRunDialog } from '@/components/run-flow/RunDialog';
import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { Mark } from '@/components/ui/StatusMark';
import { number } from '@/lib/format';
import { useKeys } from '@/lib/keys';
import { useLive } from '@/lib/live';
import { useMay } from '@/lib/may';
import { useThrottled } from '@/lib/throttle';

import { flowRowsQuery, type FlowState } from './api';

const TABS: (FlowState | undefined)[] = [undefined, 'active', 'failing', 'finished', 'paused', 'draft'];
const REFRESH_MS = 3_000;
const ROW = 53;
const CARD = 108;
const NARROW = 720;
const TYPING_MS = 200;

export function FlowsPage() {
  const { t } = useTranslation(['flows', 'dashboard', 'common']);
  const filters = useSearch({ from: '/shell/flows' });
  const navigate = useNavigate({ from: '/flows' });
  const client = useQueryClient();
  const query = useInfiniteQuery(flowRowsQuery(filters));
  const refresh = useThrottled(() => void client.invalidateQueries({ queryKey: ['flow-rows'] }), REFRESH_MS);
  useLive(['runs'], refresh, refresh);
  const may = useMay();
  const { ask, busy, dialog } = useRunDialog();
  const first = query.data?.pages[0];
  const rows = query.data?.pages.flatMap((page) => page.items) ?? [];
  const tab = (place: number): void => void navigate({ search: (before) => ({ ...before, tab: TABS[place] }) });
  useKeys(Object.fromEntries(TABS.map((_, place) => [String(place + 1), () => tab(place)])));
  const filtered = Boolean(filters.q || filters.label || filters.tab);
  return (
    <Page title={t('common:nav.flows')}>
      <div className="page-h">
        <h1>{t('common:nav.flows')}</h1>
        <Search />
        {may('flows:write') && (
          <Link className="btn" to="/flows/new">
            <Icon name="plus" />
            {t('list.new')}
          </Link>
        )}
      </div>
      <section className="panel clip" aria-label={t('common:nav.flows')}>
        <nav className="tabs fh" aria-label={t('list.states')}>
          {TABS.map((state) => (
            <Link
              key={state ?? 'all'}
              to="/flows"
              search={{ ...filters, tab: state }}
              replace
              aria-current={filters.tab === state ? 'true' : undefined}
            >
              {state === 'failing' && <Mark shape="err" />}
              {t(`dashboard:flows.${state ?? 'all'}`)}{' '}
              <span className="c">{first ? number(first.states[state ?? 'all']) : ''}</span>
            </Link>
          ))}
          {filters.label && (
            <Link className="tag filter" to="/flows" search={{ ...filters, label: undefined }} aria-label={t('list.drop_label')}>
              {filters.label} <Icon name="x" small />
            </Link>
          )}
        </nav>
        {query.error && !query.data && <PanelError error={query.error} retry={() => void query.refetch()} />}
        {query.isPending && (
          <div className="dialog-b">
            <Skeleton rows={8} height={44} />
          </div>
        )}
        {query.data && rows.length === 0 && <Nothing filtered={filtered} />}
        {rows.length > 0 && (
          <Windowed
            count={rows.length}
            more={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : null}
            render={(from, to, before, after) => (
              <FlowTable
                flows={rows.slice(from, to)}
                before={before}
                after={after}
                onRun={may('runs:write') ? ask : null}
                busy={busy}
              />
            )}
          />
        )}
      </section>
      {dialog}
    </Page>
  );
}

function Search() {
  const { t } = useTranslation('flows');
  const { q } = useSearch({ from: '/shell/flows' });
  const navigate = useNavigate({ from: '/flows' });
  const [text, setText] = useState(q ?? '');
  const [seen, setSeen] = useState(q);
  if (q !== seen) {
    setSeen(q);
    setText(q ?? '');
  }
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  return (
    <label className="search">
      <Icon name="search" small />
      <span className="sr">{t('list.search')}</span>
      <input
        type="search"
        data-page-filter
        value={text}
        placeholder={t('list.search')}
        onChange={(event) => {
          const wanted = event.target.value;
          setText(wanted);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => {
            setSeen(wanted || undefined);
            void navigate({ search: (before) => ({ ...before, q: wanted || undefined }), replace: true });
          }, TYPING_MS);
        }}
      />
      <kbd>/</kbd>
    </label>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  const { t } = useTranslation(['flows', 'common']);
  return (
    <div className="empty">
      <p>{t(filtered ? 'common:panel.empty_filtered' : 'list.none')}</p>
      {filtered ? (
        <Link className="btn" to="/flows" search={{}}>
          {t('common:action.clear_filters')}
        </Link>
      ) : (
        <Link className="btn" to="/" search={{}}>
          {t('list.see_recipes')}
        </Link>
      )}
    </div>
  );
}

interface WindowedProps {
  count: number;
  more: (() => void) | null;
  render: (from: number, to: number, before: number, after: number) => ReactNode;
}

/** Only the rows in sight are in the page; the next page is asked for before its place comes into sight. */
function Windowed({ count, more, render }: WindowedProps) {
  const box = useRef<HTMLDivElement>(null);
  const [margin, setMargin] = useState(0);
  useEffect(() => setMargin(box.current?.offsetTop ?? 0), []);
  const virtual = useWindowVirtualizer({
    count,
    estimateSize: () => (window.innerWidth <= NARROW ? CARD : ROW),
    overscan: 12,
    scrollMargin: margin,
  });
  const items = virtual.getVirtualItems();
  const [first, last] = [items[0], items.at(-1)];
  const end = last?.index ?? 0;
  useEffect(() => {
    if (more && end >= count - 15) more();
  }, [more, end, count]);
  return (
    <div ref={box}>
      {render(
        first?.index ?? 0,
        end + 1,
        Math.max(0, (first?.start ?? margin) - margin),
        Math.max(0, virtual.getTotalSize() - ((last?.end ?? margin) - margin)),
      )}
    </div>
  );
}
