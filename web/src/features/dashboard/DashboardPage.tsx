import './dashboard.css';

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { dashboardQuery, type Dashboard } from '@/api/flows';
import { Page } from '@/components/layout/Page';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { useLive } from '@/lib/live';
import { useThrottled } from '@/lib/throttle';

import { Attention, Next, Running } from './Aside';
import { FirstSteps } from './FirstSteps';
import { Flows } from './Flows';
import { Headline } from './Headline';
import { WaterlinePanel } from './WaterlinePanel';

const REFRESH_MS = 1_500;

/** One request; then events tell when to ask again. */
export function DashboardPage() {
  const { t } = useTranslation();
  const { window = '24h' } = useSearch({ from: '/shell/' });
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(dashboardQuery(window));
  const refresh = useThrottled(() => void client.invalidateQueries({ queryKey: ['dashboard'] }), REFRESH_MS);
  useLive(['runs'], refresh, refresh);
  return (
    <Page title={t('nav.dashboard')} className="dashboard">
      {data && <Loaded dashboard={data} />}
      {!data && !error && <Loading />}
      {!data && error && (
        <section className="panel">
          <h1 className="sr">{t('nav.dashboard')}</h1>
          <PanelError error={error} retry={() => void refetch()} />
        </section>
      )}
    </Page>
  );
}

function Loaded({ dashboard }: { dashboard: Dashboard }) {
  const navigate = useNavigate();
  const open = (from: string, to: string): void => void navigate({ to: '/runs', search: { from, to } } as never);
  if (dashboard.states.all === 0) return <FirstSteps dashboard={dashboard} />;
  return (
    <>
      <Headline dashboard={dashboard} />
      <WaterlinePanel dashboard={dashboard} onOpen={open} />
      <div className="cols">
        <Flows dashboard={dashboard} />
        <div className="side">
          <Attention flows={dashboard.flows} total={dashboard.states.failing} />
          <Running dashboard={dashboard} />
          <Next dashboard={dashboard} />
        </div>
      </div>
    </>
  );
}

function Loading() {
  const { t } = useTranslation();
  return (
    <>
      <h1 className="sr">{t('nav.dashboard')}</h1>
      <div className="hello">
        <div className="grow">
          <Skeleton rows={2} height={30} />
        </div>
      </div>
      <section className="panel wlp">
        <Skeleton height={330} />
      </section>
      <div className="cols">
        <section className="panel wlp">
          <Skeleton rows={8} height={44} />
        </section>
        <section className="panel wlp">
          <Skeleton rows={4} height={44} />
        </section>
      </div>
    </>
  );
}
