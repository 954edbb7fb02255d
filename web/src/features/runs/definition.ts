/** Where the steps of a run stand in the flow that it goes by. */

import { isBroken, type Attempt, type Run, type Step } from '@/api/runs';

/** The step of the flow's own list that failed, or holds what failed; only from those can a run be repeated. */
export function failedTop(run: Run, document: { steps?: { id: string }[] } | undefined): string | null {
  if (!isBroken(run)) return null;
  const root = run.error?.step?.split(/[.[]/)[0];
  return document?.steps?.some((step) => step.id === root) ? (root ?? null) : null;
}

export function definitionOf(document: unknown, key: string | undefined): unknown {
  if (!document || key === undefined) return null;
  const id = key
    .replace(/\[\d+\]/g, '')
    .split('.')
    .at(-1);
  const search = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      for (const each of value) {
        const found = search(each);
        if (found) return found;
      }
      return null;
    }
    if (value === null || typeof value !== 'object') return null;
    const own = value as Record<string, unknown>;
    if (own.id === id) return own;
    for (const [name, each] of Object.entries(own)) {
      const found = name === 'with' || name === 'inputs' || name === 'triggers' ? null : search(each);
      if (found) return found;
    }
    return null;
  };
  const { steps, on_failure, on_success, on_cancel, finally: last } = document as Record<string, unknown>;
  return search([steps, on_failure, on_success, on_cancel, last]);
}

/** An item of a loop, which the list of steps leaves out, from what is read of it alone. */
export function itemStep(key: string, output: unknown, attempts: Attempt[]): Step {
  const last = attempts.at(-1);
  return {
    key,
    status: last?.status ?? 'pending',
    reason: null,
    attempt: last?.attempt ?? 0,
    output,
    output_bytes: output === null ? null : JSON.stringify(output).length,
    error: last?.error ?? null,
    items: null,
    child_run: null,
    reused_from: null,
    wake_at: null,
    started_at: attempts[0]?.started_at ?? null,
    finished_at: last?.finished_at ?? null,
    attempts,
  };
}
