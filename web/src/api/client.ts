import createClient, { type Middleware } from 'openapi-fetch';

import { BASE } from '@/lib/base';

import type { components, paths } from './schema';
import { session } from './session';

export type Schemas = components['schemas'];

export interface Fault {
  path: string;
  line: number | null;
  column: number | null;
  severity: string;
  code: string;
  message: string;
}

/** What the API refused, or could not do. `code` is stable; `status` 0 means that no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly errors: Fault[] = [],
    readonly requestId: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
    this.name = 'ApiError';
  }
}

export async function errorOf(response: Response): Promise<ApiError> {
  const body: Record<string, unknown> = await response.json().catch(() => ({}));
  const retry = Number(response.headers.get('retry-after'));
  return new ApiError(
    response.status,
    String(body.code ?? `http_${response.status}`),
    String(body.detail ?? response.statusText),
    (body.errors as Fault[] | undefined) ?? [],
    response.headers.get('x-request-id'),
    retry > 0 ? retry : null,
  );
}

const SAFE = new Set(['GET', 'HEAD']);

async function send(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', 'The server does not answer.');
  }
}

function signed(request: Request): Request {
  const csrf = session.csrf();
  if (csrf && !SAFE.has(request.method)) request.headers.set('x-csrf-token', csrf);
  return request;
}

/**
 * `fetch` with the session's CSRF token. When the session has ended while the page is open, it waits until the
 * person has signed in again (the dialog stands over the page) and then asks once more: nothing is lost.
 */
export async function authorized(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await send(signed(request));
  const lost = response.status === 401 || (response.status === 403 && (await codeOf(response)) === 'csrf');
  if (!lost || !session.known()) return response;
  await session.renewed();
  return send(signed(again));
}

async function codeOf(response: Response): Promise<unknown> {
  const body = await response
    .clone()
    .json()
    .catch(() => ({}));
  return body.code;
}

const failing: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await errorOf(response);
    return undefined;
  },
};

/**
 * The typed client: `await answer(api.GET('/api/v1/flows', { params: { query: { q } } }))`.
 * An answer that is no success is thrown as ApiError.
 */
export const api = createClient<paths>({
  baseUrl: new URL(BASE, location.href).href.replace(/\/$/, ''),
  fetch: authorized,
});
api.use(failing);

/** The body of an answer. For routes whose answer OpenAPI does not describe, name its type: `answer<Run>(…)`. */
export async function answer<Given>(call: Promise<{ data?: unknown }>): Promise<Given> {
  const { data } = await call;
  return data as Given;
}
