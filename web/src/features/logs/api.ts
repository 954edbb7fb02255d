import { queryOptions } from '@tanstack/react-query';

import { answer, api } from '@/api/client';
import type { Listed, LogLine } from '@/api/runs';

/** A line that a search in all logs found. */
export interface FoundLine extends Omit<LogLine, 'n'> {
  run: string;
  flow: string;
  number: number;
}

export interface Found {
  items: FoundLine[];
  /** False: there may be more, in runs that began before `searched_to`. */
  complete: boolean;
  searched_to?: string;
}

export const LEVELS = ['error', 'warning', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];

/** As the address and the API spell them. Without `from` it is the last day. */
export interface LogFilters {
  q?: string;
  level?: Level;
  flow?: string;
  step?: string;
  from?: string;
  to?: string;
}

export const MOST = 1_000;

/** The API wants to be told what to look for; from `debug` on is every line. */
const wanted = (filters: LogFilters): LogFilters =>
  filters.q || filters.level || filters.flow || filters.step ? filters : { ...filters, level: 'debug' };

export const searchQuery = (filters: LogFilters, limit: number) =>
  queryOptions({
    queryKey: ['logs', filters, limit],
    staleTime: 0,
    queryFn: ({ signal }) =>
      answer<Found>(api.GET('/api/v1/logs', { params: { query: { ...wanted(filters), limit } }, signal })),
  });

const AROUND = 10;

export const aroundQuery = (line: FoundLine) =>
  queryOptions({
    queryKey: ['run', line.run, 'around', line.step, line.attempt, line.line],
    queryFn: async () => {
      const first = Math.max(line.line - AROUND, 1);
      const query = { step: line.step, attempt: line.attempt, first, limit: line.line - first + AROUND + 1 };
      const call = api.GET('/api/v1/runs/{run_id}/logs/window', { params: { path: { run_id: line.run }, query } });
      return (await answer<Listed<LogLine>>(call)).items;
    },
  });
