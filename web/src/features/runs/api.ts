import { queryOptions } from '@tanstack/react-query';

import { answer, api, type Schemas } from '@/api/client';
import type { Artifact, Attempt, Background, Listed, LogIndex, LogLine, Run, Step, Why } from '@/api/runs';
import { apiUrl } from '@/lib/base';

const PAGE = 200;

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id],
    queryFn: () => answer<Run>(api.GET('/api/v1/runs/{run_id}', { params: { path: { run_id: id } } })),
  });

/** Every step that has begun, with its attempts; of a `for_each` only the whole, unless its items are wanted. */
export const stepsQuery = (id: string, itemsOf?: string) =>
  queryOptions({
    queryKey: ['run', id, 'steps', itemsOf ?? null],
    queryFn: async () => {
      const steps: Step[] = [];
      let after: string | null = null;
      do {
        const query: Record<string, unknown> = { limit: PAGE, attempts: true, after, items_of: itemsOf };
        const page: Listed<Step> = await answer(
          api.GET('/api/v1/runs/{run_id}/steps', { params: { path: { run_id: id }, query } }),
        );
        steps.push(...page.items);
        after = page.next;
      } while (after !== null && steps.length < 10_000);
      return steps;
    },
  });

export const stepQuery = (id: string, key: string) =>
  queryOptions({
    queryKey: ['run', id, 'step', key],
    queryFn: () =>
      answer<{ key: string; output: unknown; attempts: Attempt[] }>(
        api.GET('/api/v1/runs/{run_id}/steps/{key}', { params: { path: { run_id: id, key } } }),
      ),
  });

export const backgroundQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id, 'background'],
    queryFn: () =>
      answer<Background>(api.GET('/api/v1/runs/{run_id}/background', { params: { path: { run_id: id } } })),
  });

export const whyQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id, 'why'],
    queryFn: () => answer<Why>(api.GET('/api/v1/runs/{run_id}/why', { params: { path: { run_id: id } } })),
  });

export const artifactsQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id, 'artifacts'],
    queryFn: () =>
      answer<Listed<Artifact>>(api.GET('/api/v1/runs/{run_id}/artifacts', { params: { path: { run_id: id } } })),
  });

export type Version = Schemas['VersionDetail'];

/** The text that the run goes by. A published version never changes. */
export const versionQuery = (flow: string, number: number) =>
  queryOptions({
    queryKey: ['flow', flow, 'version', number],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () =>
      answer<Version>(api.GET('/api/v1/flows/{slug}/versions/{number}', { params: { path: { slug: flow, number } } })),
  });

// --- logs ---------------------------------------------------------------------------------------------------

/** Which log: of one attempt, of a step, or of the whole run. */
export interface LogOf {
  run: string;
  step?: string;
  attempt?: number;
}

const asked = ({ run, step, attempt }: LogOf, query: Record<string, unknown> = {}) => ({
  params: { path: { run_id: run }, query: { step, attempt, ...query } },
});

export const readIndex = (of: LogOf) => answer<LogIndex>(api.GET('/api/v1/runs/{run_id}/logs/index', asked(of)));

export const readWindow = async (of: LogOf, first: number, limit: number): Promise<LogLine[]> =>
  (await answer<Listed<LogLine>>(api.GET('/api/v1/runs/{run_id}/logs/window', asked(of, { first, limit })))).items;

export const findLines = async (of: LogOf, q: string, level?: string) =>
  answer<{ lines: number[]; total: number; cut: boolean }>(
    api.GET('/api/v1/runs/{run_id}/logs/matches', asked(of, { q, level })),
  );

export function downloadUrl({ run, step, attempt }: LogOf, format: 'txt' | 'ndjson', gzip = false): string {
  const query = new URLSearchParams({ format, gzip: String(gzip) });
  if (step !== undefined) query.set('step', step);
  if (attempt !== undefined) query.set('attempt', String(attempt));
  return apiUrl(`/runs/${run}/logs/download?${query}`);
}

// --- what can be done ---------------------------------------------------------------------------------------

export interface Repeat {
  from_step?: string | null;
  inputs?: Record<string, unknown> | null;
  version?: 'same' | 'newest';
}

export const repeatRun = (id: string, wish: Repeat) =>
  answer<{ id: string; number: number }>(
    api.POST('/api/v1/runs/{run_id}/repeat', {
      params: { path: { run_id: id } },
      body: { from_step: null, inputs: null, version: 'same', ...wish },
    }),
  );

export const cancelRun = (id: string, force: boolean) =>
  answer<{ id: string; status: string }>(
    api.POST('/api/v1/runs/{run_id}/cancel', {
      params: { path: { run_id: id } },
      body: { force, reason: 'cancelled' },
    }),
  );
