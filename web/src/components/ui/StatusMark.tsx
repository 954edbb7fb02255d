import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

/** The shapes: what is seen is shape and position first, the word beside it, colour last. */
const SHAPES = {
  ok: (
    <>
      <circle className="f" cx="8" cy="8" r="7" />
      <path className="g" d="M4.9 8.3 7.1 10.5 11.2 5.9" />
    </>
  ),
  err: (
    <>
      <path
        className="f"
        d="M8 .9 15.1 8 8 15.1.9 8z"
        stroke="currentColor"
        strokeWidth="1.4"
        strokeLinejoin="round"
      />
      <path className="g" d="M6 6l4 4M10 6l-4 4" />
    </>
  ),
  run: (
    <>
      <circle className="o" cx="8" cy="8" r="6" opacity=".28" />
      <path className="o spin" d="M8 2a6 6 0 0 1 6 6" />
    </>
  ),
  warn: (
    <>
      <path
        className="f"
        d="M8 1.8 14.9 14H1.1z"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinejoin="round"
      />
      <path className="g" d="M8 6.2v3.2M8 11.8v.01" />
    </>
  ),
  wait: (
    <>
      <rect className="f" x="1.2" y="1.2" width="13.6" height="13.6" rx="3.4" />
      <path className="g" d="M8 4.6V8.2l2.4 1.5" />
    </>
  ),
  queue: <circle className="o" cx="8" cy="8" r="6" strokeDasharray="2.5 2.2" />,
  skip: (
    <>
      <circle className="o" cx="8" cy="8" r="6" />
      <path className="o" d="M6.2 5.4 8.8 8l-2.6 2.6" />
    </>
  ),
  cancel: (
    <>
      <circle className="o" cx="8" cy="8" r="6" />
      <path className="o" d="M4 12 12 4" />
    </>
  ),
  pause: (
    <>
      <rect className="o" x="2" y="2" width="12" height="12" rx="3.2" />
      <path className="o" d="M6.3 6v4M9.7 6v4" />
    </>
  ),
  draft: <rect className="o" x="2" y="2" width="12" height="12" rx="3.2" strokeDasharray="2.6 2.2" />,
  retry: <path className="o" d="M2.6 8a5.4 5.4 0 1 0 1.8-4M2.6 2.2v3h3" />,
} satisfies Record<string, ReactNode>;

export type Shape = keyof typeof SHAPES;
export type Tone = 'ok' | 'err' | 'run' | 'warn' | 'wait' | 'idle';

const TONES: Record<Shape, Tone> = {
  ok: 'ok',
  err: 'err',
  run: 'run',
  warn: 'warn',
  wait: 'wait',
  queue: 'idle',
  skip: 'idle',
  cancel: 'idle',
  pause: 'idle',
  draft: 'idle',
  retry: 'run',
};

/** Of runs, steps and attempts. */
export type Status =
  | 'queued'
  | 'pending'
  | 'running'
  | 'waiting'
  | 'cancelling'
  | 'retrying'
  | 'succeeded'
  | 'warned'
  | 'failed'
  | 'timed_out'
  | 'crashed'
  | 'cancelled'
  | 'skipped';

const OF_STATUS: Record<Status, Shape> = {
  queued: 'queue',
  pending: 'queue',
  running: 'run',
  waiting: 'wait',
  cancelling: 'cancel',
  retrying: 'retry',
  succeeded: 'ok',
  warned: 'warn',
  failed: 'err',
  timed_out: 'err',
  crashed: 'err',
  cancelled: 'cancel',
  skipped: 'skip',
};

export function shapeOf(status: string): Shape {
  return OF_STATUS[status as Status] ?? 'queue';
}

export function toneOf(status: string): Tone {
  return TONES[shapeOf(status)];
}

/** Of flows: ux.md's six, and `running`, which is what an active flow does. */
export type FlowState = 'active' | 'failing' | 'waiting' | 'running' | 'paused' | 'finished' | 'draft';

const OF_STATE: Record<FlowState, Shape> = {
  active: 'ok',
  failing: 'err',
  waiting: 'wait',
  running: 'run',
  paused: 'pause',
  finished: 'skip',
  draft: 'draft',
};

/** The bare shape. Without `label` it is decoration: the word must stand beside it. */
export function Mark({ shape, label }: { shape: Shape; label?: string }) {
  const spoken = label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': true };
  return (
    <svg className={`st s-${TONES[shape]}`} viewBox="0 0 16 16" {...spoken}>
      {SHAPES[shape]}
    </svg>
  );
}

/** The mark of a run or step, named by its status unless `silent` (the word stands beside it). */
export function StatusMark({ status, silent }: { status: string; silent?: boolean }) {
  const { t } = useTranslation();
  const label = silent ? undefined : t(`status.${status as Status}`);
  return <Mark shape={shapeOf(status)} {...(label === undefined ? {} : { label })} />;
}

export function StateMark({ state, silent }: { state: FlowState; silent?: boolean }) {
  const { t } = useTranslation();
  return <Mark shape={OF_STATE[state]} {...(silent ? {} : { label: t(`state.${state}`) })} />;
}

/** Mark and word in a soft chip. */
export function StatusChip({ status }: { status: string }) {
  const { t } = useTranslation();
  return (
    <span className={`chip ${toneOf(status)}`}>
      <StatusMark status={status} silent />
      {t(`status.${status as Status}`)}
    </span>
  );
}
