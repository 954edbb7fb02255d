import { useQuery } from '@tanstack/react-query';

import { meQuery } from '@/api/queries';

/** Whether the person may do what a scope names. The API decides; this only spares them a refusal. */
export function useMay(): (scope: string) => boolean {
  const { data: me } = useQuery(meQuery);
  return (scope) => me?.scopes.includes(scope) ?? false;
}
