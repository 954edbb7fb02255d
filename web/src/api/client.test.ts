import { afterEach, expect, it, vi } from 'vitest';

import { authorized, errorOf } from './client';
import { session } from './session';

afterEach(() => {
  vi.unstubAllGlobals();
  session.end();
});

const problem = (status: number, code: string): Response =>
  Response.json({ code, detail: 'why', errors: [] }, { status, headers: { 'x-request-id': 'r1', 'retry-after': '8' } });

it('asks again once the person has signed in, with the new token and the same body', async () => {
  const sent: { csrf: string | null; body: string }[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    sent.push({ csrf: request.headers.get('x-csrf-token'), body: await request.text() });
    return sent.length === 1 ? problem(401, 'unauthenticated') : Response.json({ ok: true });
  });
  session.begin('old');
  const answer = authorized(new Request('http://localhost/x', { method: 'POST', body: '{"a":1}' }));
  await vi.waitFor(() => expect(session.isExpired()).toBe(true));
  session.begin('new');
  expect((await answer).status).toBe(200);
  expect(sent).toEqual([
    { csrf: 'old', body: '{"a":1}' },
    { csrf: 'new', body: '{"a":1}' },
  ]);
  expect(session.isExpired()).toBe(false);
});

it('does not wait for a sign-in where nobody was signed in', async () => {
  vi.stubGlobal('fetch', async () => problem(401, 'unauthenticated'));
  expect((await authorized(new Request('http://localhost/x'))).status).toBe(401);
});

it('names a server that does not answer, and reads what one says', async () => {
  vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('failed to fetch')));
  await expect(authorized(new Request('http://localhost/x'))).rejects.toMatchObject({ status: 0, code: 'unreachable' });
  const error = await errorOf(problem(429, 'too_many_requests'));
  expect(error).toMatchObject({ status: 429, code: 'too_many_requests', requestId: 'r1', retryAfter: 8 });
});
