import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { zone } from '@/lib/format';

import { answer, api, type Schemas } from './client';

export type FlowRow = Schemas['FlowRow'];
export type FlowState = FlowRow['state'];
export type Dashboard = Schemas['DashboardView'];
export type Recipe = Schemas['RecipeView'];
export type Window = Dashboard['window'];
export type Starter = Schemas['StarterView'];

export interface Started {
  id: string;
  number: number;
  status: string;
}

export const dashboardQuery = (window: Window) =>
  queryOptions({
    queryKey: ['dashboard', window],
    queryFn: ({ signal }) =>
      answer<Dashboard>(api.GET('/api/v1/dashboard', { params: { query: { window, timezone: zone() } }, signal })),
    placeholderData: keepPreviousData,
  });

export const recipesQuery = queryOptions({
  queryKey: ['recipes'],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async () => (await answer<Schemas['RecipeList']>(api.GET('/api/v1/recipes'))).items,
});

/** Starts a run of the published version. The key makes a request that is sent twice start one run. */
export function startRun(slug: string, inputs: Record<string, unknown> = {}): Promise<Started> {
  const call = api.POST('/api/v1/flows/{slug}/runs', {
    params: { path: { slug } },
    body: { inputs },
    headers: { 'Idempotency-Key': crypto.randomUUID() },
  } as never);
  return answer<Started>(call);
}

export function publish(source: string): Promise<Schemas['PublishedView']> {
  return answer<Schemas['PublishedView']>(api.POST('/api/v1/flows', { body: { source } }));
}
