import type { Window } from '@/api/flows';

export type { Window };
export const WINDOWS: readonly Window[] = ['24h', '7d', '30d'];
