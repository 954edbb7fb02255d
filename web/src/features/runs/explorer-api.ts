import { infiniteQueryOptions } from '@tanstack/react-query';

import { answer, api } from '@/api/client';
import type { Listed, RunBrief } from '@/api/runs';

import { cancelRun, repeatRun } from './api';

/** As the address and the API spell them. */
export interface RunFilters {
  flow?: string;
  status?: string;
  trigger?: string;
  q?: string;
  from?: string;
  to?: string;
}

const PAGE = 100;

export const hasFilters = (filters: RunFilters): boolean => Object.values(filters).some((each) => each !== undefined);

const listed = (filters: RunFilters): Record<string, unknown> => ({
  ...filters,
  status: filters.status?.split(',').filter(Boolean),
});

export const runsQuery = (filters: RunFilters) =>
  infiniteQueryOptions({
    queryKey: ['runs', filters],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      answer<Listed<RunBrief>>(
        api.GET('/api/v1/runs', {
          params: { query: { ...listed(filters), limit: PAGE, after: pageParam, count: pageParam === null } as never },
        }),
      ),
    getNextPageParam: (page) => page.next,
  });

export type BulkAction = 'cancel' | 'repeat';

export interface BulkAnswer {
  total?: number;
  total_at_least?: number;
  sample?: RunBrief[];
  items?: { id: string }[];
  refused?: { id: string; number: number; code: string; detail: string }[];
  next?: string | null;
}

/** Over all that the filter finds. With `dryRun` it only counts. */
export const bulk = (
  filters: RunFilters,
  action: BulkAction,
  wish: { dryRun?: boolean; after?: string | null; limit?: number; key?: string },
) =>
  answer<BulkAnswer>(
    api.POST('/api/v1/runs/bulk', {
      body: {
        filter: listed(filters),
        action,
        dry_run: wish.dryRun ?? false,
        after: wish.after ?? null,
        limit: wish.limit ?? PAGE,
      } as never,
      ...(wish.key === undefined ? {} : { headers: { 'Idempotency-Key': wish.key } }),
    } as never),
  );

export const actOn = (id: string, action: BulkAction): Promise<unknown> =>
  action === 'cancel' ? cancelRun(id, false) : repeatRun(id, {});
