import { Link, useNavigate } from '@tanstack/react-router';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { Dashboard, FlowRow } from '@/api/flows';
import { FlowTable } from '@/components/flow-table/FlowTable';
import { useRunDialog } from '@/components/run-flow/RunDialog';
import { Mark } from '@/components/ui/StatusMark';
import { number } from '@/lib/format';
import { useMay } from '@/lib/may';
import { useStableOrder } from '@/lib/stable-order';

const TABS = ['active', 'failing', 'finished', 'paused', 'draft'] as const;

export function Flows({ dashboard }: { dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  const may = useMay();
  const navigate = useNavigate();
  const box = useRef<HTMLElement>(null);
  const rows = useStableOrder(dashboard.flows, (flow) => flow.slug, box);
  const { ask, busy, dialog } = useRunDialog();
  const { states } = dashboard;
  return (
    <section className="panel clip" aria-label={t('flows.title')} ref={box}>
      <h2 className="sr">{t('flows.title')}</h2>
      <nav className="tabs fh" aria-label={t('flows.title')}>
        <Link to="/flows" aria-current="true">
          {t('flows.all')} <span className="c">{number(states.all)}</span>
        </Link>
        {TABS.filter((tab) => states[tab] > 0).map((tab) => (
          <a
            key={tab}
            href={`flows?tab=${tab}`}
            onClick={(event) => {
              event.preventDefault();
              void navigate({ to: '/flows', search: { tab } } as never);
            }}
          >
            {tab === 'failing' && <Mark shape="err" />}
            {t(`flows.${tab}`)} <span className="c">{number(states[tab])}</span>
          </a>
        ))}
      </nav>
      <FlowTable flows={rows} onRun={may('runs:write') ? (flow: FlowRow) => ask(flow) : null} busy={busy} />
      <div className="more">
        <span className="muted">{t('flows.shown', { shown: number(rows.length), all: number(states.all) })}</span>
        <Link to="/flows">{t('flows.see_all')}</Link>
      </div>
      {dialog}
    </section>
  );
}
