import './flows.css';

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { Page } from '@/components/layout/Page';
import { FlowMark } from '@/components/flow-table/FlowTable';
import { startersText } from '@/components/flow-table/starters';
import { useRunDialog } from '@/components/run-flow/RunDialog';
import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { notify } from '@/components/ui/toasts';
import { relative, when } from '@/lib/format';
import { useKeys } from '@/lib/keys';
import { link } from '@/lib/links';
import { useLive } from '@/lib/live';
import { useMay } from '@/lib/may';
import { useThrottled } from '@/lib/throttle';

import { flowQuery, flowRowQuery, pause, resume, type FlowRow } from './api';
import { Overview } from './Overview';
import { Runs } from './Runs';
import { Versions } from './Versions';
import { Source } from './Source';

const TABS = ['overview', 'runs', 'versions', 'yaml'] as const;
const REFRESH_MS = 1_500;

export function FlowPage() {
  const { t } = useTranslation(['flows', 'common', 'dashboard']);
  const { slug, tab = 'overview' } = useParams({ strict: false }) as { slug: string; tab?: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const row = useQuery(flowRowQuery(slug));
  const flow = useQuery(flowQuery(slug));
  const refresh = useThrottled(() => {
    for (const key of ['flow-rows', 'flow-runs', 'flow-next', 'flow-ticks']) void client.invalidateQueries({ queryKey: [key] });
  }, REFRESH_MS);
  useLive([`flow:${slug}`], refresh, refresh);
  const address = (place: string): string => (place === 'overview' ? link.flow(slug) : `${link.flow(slug)}/${place}`);
  useKeys(Object.fromEntries(TABS.map((each, place) => [String(place + 1), () => void navigate({ to: address(each) })])));
  const crumbs = [{ label: t('common:nav.flows'), to: '/flows' }];
  if (row.error || flow.error) {
    const error = row.error ?? flow.error;
    const gone = error instanceof ApiError && error.status === 404;
    return (
      <Page title={slug} crumbs={crumbs} className="lone">
        <h1>{gone ? t('page.gone', { slug }) : slug}</h1>
        {gone ? (
          <Link className="btn" to="/flows" search={{}}>
            {t('dashboard:flows.see_all')}
          </Link>
        ) : (
          <PanelError error={error} retry={() => void Promise.all([row.refetch(), flow.refetch()])} />
        )}
      </Page>
    );
  }
  if (!row.data || !flow.data) {
    return (
      <Page title={slug} crumbs={crumbs}>
        <h1 className="sr">{slug}</h1>
        <Skeleton rows={6} height={52} />
      </Page>
    );
  }
  return (
    <Page title={row.data.name} crumbs={crumbs}>
      <Head flow={row.data} />
      <nav className="tabs flow-tabs" aria-label={t('page.tabs')}>
        {TABS.map((each) => (
          <Link key={each} to={address(each)} activeOptions={{ exact: true, includeSearch: false }}>
            {t(`tab.${each}`)}
          </Link>
        ))}
      </nav>
      {tab === 'overview' && <Overview flow={row.data} detail={flow.data} />}
      {tab === 'runs' && <Runs slug={slug} />}
      {tab === 'versions' && <Versions slug={slug} current={row.data.version} />}
      {tab === 'yaml' && <Source slug={slug} source={flow.data.current.source} />}
    </Page>
  );
}

function Head({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation(['flows', 'common']);
  const may = useMay();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { ask, busy, dialog } = useRunDialog((run) => void navigate({ to: link.run(run.id) }));
  const paused = flow.state === 'paused';
  useKeys({ 'Shift+E': () => !paused && ask(flow) }, may('runs:write'));

  async function turn(act: (slug: string) => Promise<unknown>, done: string, back: (slug: string) => Promise<unknown>): Promise<void> {
    const again = (): void => void client.invalidateQueries({ queryKey: ['flow-rows'] });
    try {
      await act(flow.slug);
      again();
      notify(done, { undo: () => void back(flow.slug).then(again) });
    } catch (error) {
      notify(error instanceof ApiError ? error.detail : String(error), { bad: true });
    }
  }

  return (
    <div className="flow-h">
      <div className="grow">
        <h1>
          <FlowMark flow={flow} /> {flow.name}
        </h1>
        <p className="dim">
          {startersText(flow.triggers)}
          {flow.next_at && !paused && ` · ${t('page.next', { at: when(flow.next_at), relative: relative(flow.next_at) })}`}
          {flow.version > 0 && ` · ${t('page.version', { number: flow.version })}`}
        </p>
        {Object.keys(flow.labels).length > 0 && (
          <p className="labels">
            {Object.entries(flow.labels).map(([name, value]) => (
              <Link key={name} className="tag" to="/flows" search={{ label: `${name}:${value}` }}>
                {name}: {value}
              </Link>
            ))}
          </p>
        )}
        {paused && (
          <p className="notice warn">
            {flow.paused_by ? t('page.paused_by', { name: flow.paused_by }) : t('page.paused')} {flow.pause_reason}
          </p>
        )}
        {flow.state === 'draft' && <p className="notice">{t('page.draft')}</p>}
      </div>
      <div className="acts">
        {may('flows:write') &&
          flow.state !== 'draft' &&
          (paused ? (
            <button type="button" className="btn lg" onClick={() => void turn(resume, t('page.resumed'), pause)}>
              {t('page.resume')}
            </button>
          ) : (
            <button type="button" className="btn lg" onClick={() => void turn(pause, t('page.paused_by_you'), resume)}>
              <Icon name="pause" />
              {t('page.pause')}
            </button>
          ))}
        {may('flows:write') && (
          <Link className="btn lg" to={link.edit(flow.slug)}>
            <Icon name="form" />
            {t('page.edit')}
          </Link>
        )}
        {may('runs:write') && (
          <button type="button" className="btn lg go" disabled={paused || busy !== null} onClick={() => ask(flow)}>
            <Icon name="play" />
            {t('common:action.run')}
          </button>
        )}
      </div>
      {dialog}
    </div>
  );
}
