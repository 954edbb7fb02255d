import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Dashboard, FlowRow } from '@/api/flows';
import { Panel } from '@/components/ui/Panel';
import { Mark } from '@/components/ui/StatusMark';
import { Ago } from '@/components/ui/Time';
import { useSecond } from '@/lib/clock';
import { clockTime, duration, fullInstant, number, when } from '@/lib/format';
import { link } from '@/lib/links';

const SHOWN = 5;

export function Attention({ flows, total }: { flows: FlowRow[]; total: number }) {
  const { t } = useTranslation('dashboard');
  const failing = flows.filter((flow) => flow.state === 'failing').slice(0, SHOWN);
  return (
    <Panel title={t('attention.title')} aside={total ? <span className="num">{number(total)}</span> : undefined}>
      {failing.length === 0 && <p className="quiet">{t('attention.none')}</p>}
      <ul>
        {failing.map((flow) => (
          <li className="li" key={flow.slug}>
            <Mark shape="err" />
            <div>
              <b>{flow.name}</b>
              <p>
                {flow.last?.step && <span className="mono">{flow.last.step}: </span>}
                {flow.last?.error}
              </p>
            </div>
            <span className="muted num">{t('attention.streak', { count: flow.streak })}</span>
            <div className="acts">
              {flow.last && (
                <Link className="btn sm" to={link.run(flow.last.run)}>
                  {t('see_cause')}
                </Link>
              )}
            </div>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

export function Running({ dashboard }: { dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  const { running, totals } = dashboard;
  return (
    <Panel title={t('running.title')} aside={totals.running ? <span className="num">{number(totals.running)}</span> : undefined}>
      {running.length === 0 && <p className="quiet">{t('running.none')}</p>}
      <ul>
        {running.slice(0, SHOWN).map((run) => (
          <RunningItem key={run.run} run={run} />
        ))}
      </ul>
    </Panel>
  );
}

function RunningItem({ run }: { run: Dashboard['running'][number] }) {
  const { t } = useTranslation('dashboard');
  const now = useSecond();
  const elapsed = Math.max(0, now - Date.parse(run.started_at));
  const typical = run.typical_ms;
  return (
    <li className="li">
      <Mark shape="run" />
      <Link className="trunc name" to={link.run(run.run)}>
        {run.name}
      </Link>
      <span className="muted num">{duration(elapsed < 60_000 ? Math.floor(elapsed / 1000) * 1000 : elapsed)}</span>
      {typical !== null && typical > 0 && (
        <progress
          className="bar"
          max={typical}
          value={Math.min(elapsed, typical * 0.97)}
          aria-label={t('running.typical', { time: duration(typical) })}
          title={t('running.typical', { time: duration(typical) })}
        />
      )}
      {run.step && <p className="mono step">{run.step}</p>}
    </li>
  );
}

export function Next({ dashboard }: { dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  const soon = Date.parse(dashboard.now) + 20 * 3_600_000;
  return (
    <Panel title={t('next.title')} className="nexts">
      {dashboard.next.length === 0 && <p className="quiet">{t('next.none')}</p>}
      <ul>
        {dashboard.next.map((next) => (
          <li className="up" key={`${next.flow} ${next.at}`}>
            <time dateTime={next.at} title={fullInstant(next.at)}>
              {Date.parse(next.at) < soon ? clockTime(next.at) : when(next.at)}
            </time>
            <Link className="trunc" to={link.flow(next.flow)}>
              {next.name}
            </Link>
            <span>
              <Ago at={next.at} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
