import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { hasEnded, type Attempt, type Run, type RunError, type Step } from '@/api/runs';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { StatusChip } from '@/components/ui/StatusMark';
import { bytes, clockTime, duration } from '@/lib/format';

import { stepQuery } from './api';
import { JsonView } from './JsonView';
import { LogViewer } from './log/LogViewer';

export const STEP_TABS = ['logs', 'output', 'definition', 'attempts'] as const;
export type StepTab = (typeof STEP_TABS)[number];

interface Props {
  run: Run;
  step: Step | undefined;
  /** The step's key, also when it has not begun. */
  name: string | undefined;
  definition: unknown;
  attempt: number | undefined;
  tab: StepTab;
  line: number | undefined;
  onTab: (tab: StepTab) => void;
  onAttempt: (attempt: number) => void;
  onLine: (line: number | undefined) => void;
}

/** The chosen step, or the whole run: its logs first. */
export function Inspector({ run, step, name, definition, attempt, tab, line, onTab, onAttempt, onLine }: Props) {
  const { t } = useTranslation('runs');
  const tabs = name === undefined ? (['logs'] as const) : STEP_TABS;
  const shownTab = name === undefined ? 'logs' : tab;
  const numbers = [...new Set(step?.attempts.map((each) => each.attempt))];
  const chosen = attempt ?? numbers.at(-1);
  const of =
    name === undefined
      ? { run: run.id }
      : { run: run.id, step: name, ...(chosen === undefined ? {} : { attempt: chosen }) };
  const made = step?.attempts.findLast((each) => each.attempt === chosen);
  return (
    <section className="panel clip insp" aria-labelledby="inspected">
      <div className="att">
        <h2 id="inspected">{name ?? t('inspector.whole')}</h2>
        <span className="grow" />
        {numbers.length > 1 && (
          <>
            <span className="muted" aria-hidden="true">
              {t('inspector.attempt')}
            </span>
            <div className="seg" role="group" aria-label={t('inspector.attempt')}>
              {numbers.slice(-8).map((each) => (
                <button key={each} type="button" aria-pressed={each === chosen} onClick={() => onAttempt(each)}>
                  {each}
                </button>
              ))}
            </div>
          </>
        )}
      </div>
      <div className="tabs" role="tablist" aria-label={t('inspector.tabs')}>
        {tabs.map((each) => (
          <button
            key={each}
            type="button"
            role="tab"
            id={`step-tab-${each}`}
            aria-controls="step-panel"
            aria-selected={each === shownTab}
            onClick={() => onTab(each)}
          >
            {t(`inspector.tab.${each}`)}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="step-panel" aria-labelledby={`step-tab-${shownTab}`} className="insp-b">
        {shownTab === 'logs' && (
          <LogViewer
            key={`${name ?? ''} ${chosen ?? ''}`}
            of={of}
            label={t('log.label', { step: name ?? t('inspector.whole') })}
            live={!hasEnded(run) && (!step || step.finished_at === null)}
            failure={failureOf(made?.error ?? (run.error?.step === name ? run.error : null))}
            line={line}
            onLine={onLine}
          />
        )}
        {shownTab === 'output' && step && <Output run={run} step={step} />}
        {shownTab === 'output' && !step && <p className="empty">{t('inspector.not_begun')}</p>}
        {shownTab === 'definition' && <JsonView value={definition ?? null} label={t('inspector.tab.definition')} />}
        {shownTab === 'attempts' && <Attempts attempts={step?.attempts ?? []} />}
      </div>
    </section>
  );
}

/** The words of what went wrong; of a script its own traceback, not that of the action around it. */
export function failureOf(error: RunError | null): string | null {
  if (!error) return null;
  const inner = error.details as { traceback?: unknown } | null | undefined;
  if (typeof inner?.traceback === 'string') return inner.traceback;
  return error.traceback ?? `${error.type}: ${error.message}`;
}

function Output({ run, step }: { run: Run; step: Step }) {
  const { t } = useTranslation('runs');
  const large = step.output === null && step.output_bytes !== null;
  const whole = useQuery({ ...stepQuery(run.id, step.key), enabled: large });
  if (step.child_run) {
    return (
      <p className="empty">
        <Link to="/runs/$id" params={{ id: step.child_run }}>
          {t('inspector.child')}
        </Link>
      </p>
    );
  }
  if (large && whole.isPending) return <Skeleton rows={6} />;
  if (large && whole.error) return <PanelError error={whole.error} retry={() => void whole.refetch()} />;
  const value = large ? whole.data?.output : step.output;
  if (step.output_bytes === null) return <p className="empty">{t('inspector.no_output')}</p>;
  return (
    <>
      <p className="hint pad">{bytes(step.output_bytes)}</p>
      <JsonView value={value} label={t('inspector.tab.output')} />
    </>
  );
}

function Attempts({ attempts }: { attempts: Attempt[] }) {
  const { t } = useTranslation('runs');
  if (attempts.length === 0) return <p className="empty">{t('inspector.not_begun')}</p>;
  const span = (from: string | null, to: string | null): string =>
    from && to ? duration(Date.parse(to) - Date.parse(from)) : '—';
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by scrolling
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('inspector.tab.attempts')}>
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">{t('inspector.attempt')}</th>
            <th scope="col">{t('inspector.status')}</th>
            <th scope="col">{t('inspector.began')}</th>
            <th scope="col">{t('inspector.wait')}</th>
            <th scope="col">{t('inspector.took')}</th>
            <th scope="col">{t('inspector.worker')}</th>
          </tr>
        </thead>
        <tbody>
          {attempts.map((each, place) => (
            <tr key={each.token}>
              <td>{each.attempt}</td>
              <td>
                <StatusChip status={each.status} />
              </td>
              <td className="num">{each.started_at ? clockTime(each.started_at, true) : '—'}</td>
              <td className="num">{span(attempts[place - 1]?.finished_at ?? each.queued_at, each.started_at)}</td>
              <td className="num">{span(each.started_at, each.finished_at)}</td>
              <td className="mono trunc" title={each.worker ?? ''}>
                {each.worker?.slice(-12) ?? '—'}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
