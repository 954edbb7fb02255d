import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';

import { answer, api, type Schemas } from '@/api/client';
import type { FlowRow, FlowState } from '@/api/flows';

export type { FlowRow, FlowState };
export type FlowDetail = Schemas['FlowDetail'];
export type Version = Schemas['VersionPage']['items'][number];
export type Diff = Schemas['DiffView'];
export type Tick = Schemas['TickView'];

export interface Filters {
  tab?: FlowState | undefined;
  q?: string | undefined;
  label?: string | undefined;
}

const PAGE = 50;

export const flowRowsQuery = ({ tab, q, label }: Filters) =>
  infiniteQueryOptions({
    queryKey: ['flow-rows', tab ?? '', q ?? '', label ?? ''],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      answer<Schemas['FlowRows']>(
        api.GET('/api/v1/dashboard/flows', {
          params: { query: { state: tab, q, label, after: pageParam, limit: PAGE } },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: (before) => before,
  });

export const flowRowQuery = (slug: string) =>
  queryOptions({
    queryKey: ['flow-rows', 'one', slug],
    queryFn: () => answer<FlowRow>(api.GET('/api/v1/dashboard/flows/{slug}', { params: { path: { slug } } })),
  });

export const flowQuery = (slug: string) =>
  queryOptions({
    queryKey: ['flow', slug],
    queryFn: () => answer<FlowDetail>(api.GET('/api/v1/flows/{slug}', { params: { path: { slug } } })),
  });

export const nextQuery = (slug: string) =>
  queryOptions({
    queryKey: ['flow-next', slug],
    staleTime: 5_000,
    queryFn: async () => {
      const call = api.GET('/api/v1/flows/{slug}/next', { params: { path: { slug }, query: { count: 5 } } });
      return (await answer<Schemas['NextList']>(call)).items;
    },
  });

export const ticksQuery = (slug: string) =>
  queryOptions({
    queryKey: ['flow-ticks', slug],
    staleTime: 5_000,
    queryFn: async () => {
      const call = api.GET('/api/v1/flows/{slug}/ticks', { params: { path: { slug }, query: { limit: 20 } } });
      return (await answer<Schemas['TickPage']>(call)).items;
    },
  });

export const versionsQuery = (slug: string) =>
  infiniteQueryOptions({
    queryKey: ['flow-versions', slug],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      answer<Schemas['VersionPage']>(
        api.GET('/api/v1/flows/{slug}/versions', { params: { path: { slug }, query: { after: pageParam, limit: PAGE } } }),
      ),
    getNextPageParam: (page) => page.next ?? undefined,
  });

export const diffQuery = (slug: string, a: number, b: number) =>
  queryOptions({
    queryKey: ['flow-diff', slug, a, b],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () =>
      answer<Diff>(api.GET('/api/v1/flows/{slug}/versions/diff', { params: { path: { slug }, query: { a, b } } })),
  });

/** A run as lists of runs give it: OpenAPI describes them as any JSON. */
export interface RunItem {
  id: string;
  number: number;
  version: number;
  status: string;
  trigger: { type: string };
  error: { type?: string; message?: string; step?: string } | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export const flowRunsQuery = (slug: string) =>
  infiniteQueryOptions({
    queryKey: ['flow-runs', slug],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      answer<{ items: RunItem[]; next: string | null }>(
        api.GET('/api/v1/runs', { params: { query: { flow: slug, after: pageParam, limit: PAGE } }, signal }),
      ),
    getNextPageParam: (page) => page.next ?? undefined,
  });

export const pause = (slug: string): Promise<unknown> =>
  answer(api.POST('/api/v1/flows/{slug}/pause', { params: { path: { slug } }, body: { reason: null } }));

export const resume = (slug: string): Promise<unknown> =>
  answer(api.POST('/api/v1/flows/{slug}/resume', { params: { path: { slug } } }));

export const restore = (slug: string, number: number): Promise<Schemas['PublishedView']> =>
  answer(api.POST('/api/v1/flows/{slug}/versions/{number}/restore', { params: { path: { slug, number } } }));
