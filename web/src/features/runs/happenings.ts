/** What happened in a run, in order, from the times that its steps and attempts keep. */

import type { Run, Step } from '@/api/runs';

export interface Happening {
  at: string;
  what: 'accepted' | 'run_started' | 'queued' | 'started' | 'ended' | 'skipped' | 'run_ended';
  step: string | null;
  attempt: number | null;
  status: string | null;
}

export function happeningsOf(run: Run, steps: Step[]): Happening[] {
  const found: Happening[] = [{ at: run.created_at, what: 'accepted', step: null, attempt: null, status: null }];
  if (run.started_at) found.push({ at: run.started_at, what: 'run_started', step: null, attempt: null, status: null });
  for (const step of steps) {
    for (const each of step.attempts) {
      const shared = { step: step.key, attempt: each.attempt };
      // Later attempts keep the instant at which the first one was queued.
      if (each === step.attempts[0]) found.push({ at: each.queued_at, what: 'queued', ...shared, status: null });
      if (each.started_at) found.push({ at: each.started_at, what: 'started', ...shared, status: null });
      if (each.finished_at) found.push({ at: each.finished_at, what: 'ended', ...shared, status: each.status });
    }
    if (step.attempts.length === 0 && step.finished_at) {
      const what = step.status === 'skipped' ? 'skipped' : 'ended';
      found.push({ at: step.finished_at, what, step: step.key, attempt: null, status: step.status });
    }
  }
  if (run.finished_at)
    found.push({ at: run.finished_at, what: 'run_ended', step: null, attempt: null, status: run.status });
  return found
    .map((each, place) => ({ each, place }))
    .toSorted((a, b) => (a.each.at < b.each.at ? -1 : a.each.at > b.each.at ? 1 : a.place - b.place))
    .map(({ each }) => each);
}
