import { oneOf, text, whole } from '@/lib/search';

export const RUN_TABS = ['timeline', 'io', 'events', 'artifacts', 'yaml'] as const;

/** All that the page shows stands in its address. An empty `step` is the whole run. */
export interface RunSearch {
  step?: string;
  attempt?: number;
  tab?: (typeof RUN_TABS)[number];
  panel?: string;
  line?: number;
  gaps?: 'whole';
}

export function runSearch(search: Record<string, unknown>): RunSearch {
  return {
    step: search.step === '' ? '' : text(search.step),
    attempt: whole(search.attempt),
    tab: oneOf(search.tab, RUN_TABS),
    panel: oneOf(search.panel, ['logs', 'output', 'definition', 'attempts']),
    line: whole(search.line),
    gaps: oneOf(search.gaps, ['whole'] as const),
  };
}
