import { answer, api, type Schemas } from '@/api/client';
import { meQuery, queryClient } from '@/api/queries';
import { session } from '@/api/session';
import { BASE } from '@/lib/base';
import { setZone } from '@/lib/format';

export type NewAccount = Schemas['SetUpBody'];

/** Opens a session by cookie; requests that wait for it go on. */
export async function signIn(email: string, password: string): Promise<void> {
  const before = queryClient.getQueryData(meQuery.queryKey);
  const opened = await answer<Schemas['SessionOut']>(api.POST('/api/v1/auth/session', { body: { email, password } }));
  if (before?.user && before.user.id !== opened.user.id) {
    location.assign(BASE); // another person: nothing of the first one's page may stay
    return;
  }
  setZone(opened.user.timezone);
  session.begin(opened.csrf_token);
  await queryClient.fetchQuery({ ...meQuery, staleTime: 0 });
}

export async function setUp(account: NewAccount): Promise<void> {
  await answer(api.POST('/api/v1/setup', { body: account }));
  await signIn(account.email, account.password);
}

export async function signOut(): Promise<void> {
  await api.POST('/api/v1/auth/logout').catch(() => undefined);
  session.end();
  location.assign(`${BASE}login`); // a fresh page keeps nothing of the person who left
}
