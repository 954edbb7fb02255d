import { queryOptions, QueryClient } from '@tanstack/react-query';

import { answer, api, ApiError, type Schemas } from './client';
import { session } from './session';

/** What changes is told by events; what failed for good is not asked again. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (times, error) => !(error instanceof ApiError && error.status >= 400 && error.status < 500) && times < 2,
    },
    mutations: { retry: false },
  },
});

export type Me = Schemas['Me'];

/** Who is signed in; null when nobody is. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async (): Promise<Me | null> => {
    try {
      const me = await answer<Me>(api.GET('/api/v1/auth/me'));
      session.begin(me.csrf_token);
      return me;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
});

export const setupQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: () => answer<Schemas['SetUpState']>(api.GET('/api/v1/setup/state')),
});
