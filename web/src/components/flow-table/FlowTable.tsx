import './flow-table.css';

import { Link } from '@tanstack/react-router';
import { memo, type KeyboardEvent, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { FlowRow } from '@/api/flows';
import { Icon } from '@/components/ui/Icon';
import { Mark, shapeOf, StateMark, type Status } from '@/components/ui/StatusMark';
import { Ago, NextTime, When } from '@/components/ui/Time';
import { duration } from '@/lib/format';
import { link } from '@/lib/links';

import { Rhythm } from './Rhythm';
import { startersText, startsByEvent } from './starters';

const LIVE = new Set(['queued', 'running', 'waiting', 'cancelling']);
const ended = (status: string): boolean => !LIVE.has(status);

interface Props {
  flows: FlowRow[];
  /** Null for people who may only read. */
  onRun: ((flow: FlowRow) => void) | null;
  busy: string | null;
  /** Pixels of the rows that are not drawn, where only those in sight are. */
  before?: number;
  after?: number;
}

/** Flows, each with its rhythm, its last result, its next run and a way to run it. `j`, `k`, arrows move, Enter opens. */
export function FlowTable({ flows, onRun, busy, before = 0, after = 0 }: Props) {
  const { t } = useTranslation('flows');
  return (
    // The keys move the focus between links that are there for everybody.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <table className="ft" onKeyDown={moved}>
      <thead>
        <tr>
          <th scope="col">{t('column.flow')}</th>
          <th scope="col" className="rhy">
            {t('column.rhythm')}
          </th>
          <th scope="col">{t('column.last')}</th>
          <th scope="col">{t('column.next')}</th>
          <th scope="col">
            <span className="sr">{t('column.actions')}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {before > 0 && <tr className="ft-gap" aria-hidden="true" style={{ height: before }} />}
        {flows.map((flow) => (
          <Row key={flow.slug} flow={flow} onRun={onRun} busy={busy === flow.slug} />
        ))}
        {after > 0 && <tr className="ft-gap" aria-hidden="true" style={{ height: after }} />}
      </tbody>
    </table>
  );
}

function moved(event: KeyboardEvent<HTMLTableElement>): void {
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>('tbody .nm')];
  const here = links.indexOf((event.target as HTMLElement).closest('tr')?.querySelector('.nm') as HTMLElement);
  const next = links[Math.min(links.length - 1, Math.max(0, here + step))];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

const Row = memo(function Row({ flow, onRun, busy }: { flow: FlowRow; onRun: Props['onRun']; busy: boolean }) {
  const { t } = useTranslation(['flows', 'common']);
  const live = flow.last !== null && !ended(flow.last.status);
  return (
    <tr className={flow.state === 'failing' ? 'bad' : undefined} data-flow={flow.slug}>
      <td>
        <div className="row ft-name">
          <FlowMark flow={flow} />
          <div className="grow">
            <Link className="nm trunc" to={link.flow(flow.slug)}>
              {flow.name}
            </Link>
            <small>{startersText(flow.triggers)}</small>
          </div>
        </div>
      </td>
      <td className="rhy">
        <Rhythm flow={flow} />
      </td>
      <td className="res">
        <LastResult flow={flow} />
      </td>
      <td className="nx nowrap">
        <NextRun flow={flow} />
      </td>
      <td className="go">
        {live && flow.last ? (
          <Link className="btn sm quiet" to={link.run(flow.last.run)} aria-label={t('follow_named', { name: flow.name })}>
            {t('common:action.follow')}
          </Link>
        ) : (
          onRun && (
            <button
              type="button"
              className="btn sm"
              disabled={busy || flow.state === 'paused'}
              aria-label={t('common:action.run_named', { name: flow.name })}
              onClick={() => onRun(flow)}
            >
              <Icon name="play" small />
              {t('common:action.run')}
            </button>
          )
        )}
      </td>
    </tr>
  );
});

/** The state of a flow that rests, or what its run does now. */
export function FlowMark({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation();
  if (flow.last && !ended(flow.last.status)) {
    return <Mark shape={shapeOf(flow.last.status)} label={t(`status.${flow.last.status as Status}`)} />;
  }
  if (flow.state === 'active' && flow.last === null) return <Mark shape="queue" label={t('state.active')} />;
  return <StateMark state={flow.state} />;
}

function LastResult({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation(['flows', 'common']);
  const { last } = flow;
  if (flow.state === 'paused') {
    return (
      <Lines first={flow.paused_by ? t('last.paused_by', { name: flow.paused_by }) : t('common:state.paused')}>
        {flow.pause_reason ?? <When at={flow.updated_at} />}
      </Lines>
    );
  }
  if (last === null) return <Lines first={t(flow.state === 'draft' ? 'last.draft' : 'last.never')}>{' '}</Lines>;
  if (!ended(last.status)) {
    return (
      <Lines first={last.step ? t('last.at_step', { step: last.step }) : t(`common:status.${last.status as Status}`)}>
        <Ago at={last.created_at} />
        {flow.typical_ms !== null && ` · ${t('last.usually', { time: duration(flow.typical_ms) })}`}
      </Lines>
    );
  }
  const bad = shapeOf(last.status) === 'err';
  const word = t(`common:status.${last.status as Status}`);
  const first = bad && last.step ? <FailedAt step={last.step} /> : (last.summary ?? word);
  return (
    <Lines first={first} hint={last.error ?? last.summary ?? word}>
      <Ago at={last.finished_at ?? last.created_at} />
      {bad && flow.streak > 1 && ` · ${t('last.streak', { count: flow.streak, ordinal: true })}`}
      {!bad && last.ms !== null && ` · ${duration(last.ms)}`}
    </Lines>
  );
}

function FailedAt({ step }: { step: string }) {
  const { t } = useTranslation('flows');
  const [before, after] = t('last.failed_at', { step: '\u0000' }).split('\u0000');
  return (
    <>
      {before}
      <span className="mono">{step}</span>
      {after}
    </>
  );
}

function Lines({ first, hint, children }: { first: ReactNode; hint?: string; children: ReactNode }) {
  return (
    <>
      <b className="trunc" title={hint}>
        {first}
      </b>
      <small>{children}</small>
    </>
  );
}

function NextRun({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation('flows');
  if (flow.next_at !== null && flow.state !== 'paused') {
    return (
      <>
        <span className="num">
          <NextTime at={flow.next_at} />
        </span>
        <small>
          <Ago at={flow.next_at} />
        </small>
      </>
    );
  }
  return <span>{startsByEvent(flow.triggers) && flow.state !== 'paused' ? t('next.by_event') : '—'}</span>;
}
