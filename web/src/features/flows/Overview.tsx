import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Panel, PanelError, Skeleton } from '@/components/ui/Panel';
import { Mark, shapeOf, toneOf, type Shape, type Status } from '@/components/ui/StatusMark';
import { Ago, When } from '@/components/ui/Time';
import { duration, fullInstant, number, percent, when } from '@/lib/format';
import { link } from '@/lib/links';

import { nextQuery, ticksQuery, type FlowDetail, type FlowRow, type Tick } from './api';

/** How it goes, what it does, what comes next, and what became of each due instant. */
export function Overview({ flow, detail }: { flow: FlowRow; detail: FlowDetail }) {
  const { t } = useTranslation('flows');
  const timed = flow.triggers.some((starter) => starter.cron || starter.every);
  return (
    <div className="overview">
      <div className="column">
        <Panel title={t('overview.rhythm')}>
          <BigRhythm flow={flow} />
          <Facts flow={flow} />
        </Panel>
        <Steps detail={detail} />
      </div>
      <div className="column">
        <NextRuns flow={flow} />
        {timed && <Ticks slug={flow.slug} />}
      </div>
    </div>
  );
}

const HEIGHT = 96;
const LINE = 66;
const LEAST = 8;

function BigRhythm({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation(['flows', 'common']);
  if (flow.rhythm.length === 0) return <p className="quiet">{t('last.never')}</p>;
  const longest = Math.max(1, ...flow.rhythm.map((run) => run.ms ?? 0));
  return (
    <ol className="big-rhythm" aria-label={t('overview.rhythm')}>
      {flow.rhythm.map((run) => {
        const tone = toneOf(run.status);
        const down = tone === 'err';
        const height = down ? 22 : Math.max(LEAST, Math.sqrt((run.ms ?? 0) / longest) * (LINE - 6));
        const said = `#${run.number}, ${t(`common:status.${run.status as Status}`)}${run.ms === null ? '' : `, ${duration(run.ms)}`}`;
        return (
          <li key={run.run}>
            <Link to={link.run(run.run)} aria-label={said} title={said}>
              <svg viewBox={`0 0 20 ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
                <path className="rh-line" d={`M0 ${LINE + 0.5}H20`} />
                <rect
                  className={`rh-${{ ok: 'ok', err: 'err', run: 'run', warn: 'ok', wait: 'run', idle: 'idle' }[tone]}`}
                  x={4}
                  y={down ? LINE + 2 : LINE - height}
                  width={12}
                  height={height}
                  rx={1.5}
                />
              </svg>
            </Link>
          </li>
        );
      })}
    </ol>
  );
}

function Facts({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation('flows');
  const ended = flow.rhythm.filter((run) => run.ms !== null);
  const good = ended.filter((run) => run.status === 'succeeded').length;
  const facts: [string, string][] = [
    [t('overview.success'), ended.length ? `${percent(good / ended.length, 0)} · ${t('overview.of_last', { count: ended.length })}` : '—'],
    [t('overview.typical'), flow.typical_ms === null ? '—' : duration(flow.typical_ms)],
    [t('overview.last'), flow.last ? when(flow.last.created_at) : t('last.never')],
    [t('overview.changed'), when(flow.updated_at)],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface StepShape {
  id: string;
  uses?: string;
  if?: string;
  for_each?: unknown;
}

/** The steps as they stand in the document; parallel and switched ones keep their place. */
function Steps({ detail }: { detail: FlowDetail }) {
  const { t } = useTranslation('flows');
  const steps = (detail.current.document.steps ?? []) as StepShape[];
  return (
    <Panel title={t('overview.steps')} aside={<span className="num">{number(steps.length)}</span>}>
      {detail.description && <p className="quiet dim">{detail.description}</p>}
      <ol className="steps">
        {steps.map((step) => (
          <li key={step.id}>
            <span className="mono">{step.id}</span>
            <span className="muted trunc">{step.uses ?? kindOf(step)}</span>
            {step.if !== undefined && <span className="tag mono trunc">if {String(step.if)}</span>}
            {step.for_each !== undefined && <span className="tag">for_each</span>}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

const kindOf = (step: object): string =>
  ['parallel', 'switch', 'sleep', 'wait', 'flow', 'call'].find((kind) => kind in step) ?? '';

function NextRuns({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation('flows');
  const { data, error, refetch } = useQuery(nextQuery(flow.slug));
  return (
    <Panel title={t('overview.next')} className="nexts">
      {error && <PanelError error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton rows={5} height={24} />}
      {data?.length === 0 && (
        <p className="quiet">{t(flow.state === 'paused' ? 'overview.next_paused' : 'overview.next_none')}</p>
      )}
      <ol>
        {data?.map((each) => (
          <li className="up" key={`${each.trigger} ${each.instant}`}>
            <time dateTime={each.instant} title={fullInstant(each.instant)}>
              {when(each.instant)}
            </time>
            <span className="trunc muted">{each.trigger}</span>
            <span>
              <Ago at={each.instant} />
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

const TICK: Record<Tick['status'], Shape> = { ran: 'skip', missed: 'warn', coalesced: 'cancel', skipped: 'cancel' };

function Ticks({ slug }: { slug: string }) {
  const { t } = useTranslation('flows');
  const { data, error, refetch } = useQuery(ticksQuery(slug));
  return (
    <Panel title={t('ticks.title')}>
      {error && <PanelError error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton rows={4} height={24} />}
      {data?.length === 0 && <p className="quiet">{t('ticks.none')}</p>}
      <ol>
        {data?.map((tick) => (
          <li className="tick" key={`${tick.trigger} ${tick.instant}`}>
            <Mark shape={TICK[tick.status] ?? shapeOf(tick.status)} label={t(`ticks.${tick.status}`)} />
            <When at={tick.instant} />
            <span className="muted trunc">
              {t(`ticks.${tick.status}`)}
              {tick.late && ` · ${t('ticks.late')}`}
            </span>
            {tick.run_id && <Link to={link.run(tick.run_id)}>{t('ticks.run')}</Link>}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

