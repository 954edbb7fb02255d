import { queryOptions } from '@tanstack/react-query';

import { answer, api, type Fault, type Schemas } from '@/api/client';
import type { Started } from '@/api/flows';

export type ActionSummary = Schemas['ActionSummary'] & { module: string };
export type Action = Schemas['ActionView'];
export type Outcome = Schemas['OutcomeView'];
export type Diff = Schemas['DiffView'];
type Saved = Schemas['PublishedView'];

/** What the server has of a flow when the editor opens. */
export interface Stored {
  name: string;
  /** The text to go on with: the draft's, if there is one. */
  source: string;
  /** The text of the published version; null when none was published. */
  published: string | null;
  version: number;
  draft: number | null;
  revision: number;
}

export const storedQuery = (slug: string) =>
  queryOptions({
    queryKey: ['flow-edit', slug],
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    queryFn: () => stored(slug),
  });

export async function stored(slug: string): Promise<Stored> {
  const path = { slug };
  const flow = await answer<Schemas['FlowDetail']>(api.GET('/api/v1/flows/{slug}', { params: { path } }));
  const { name, version, draft, revision, current } = flow;
  let { source } = current;
  if (draft !== null && draft !== current.number) {
    const call = api.GET('/api/v1/flows/{slug}/versions/{number}', { params: { path: { slug, number: draft } } });
    source = (await answer<Schemas['VersionDetail']>(call)).source;
  }
  return { name, source, published: version > 0 ? current.source : null, version, draft, revision };
}

export async function validate(source: string, signal: AbortSignal): Promise<Fault[]> {
  const call = api.POST('/api/v1/flows/validate', { body: { source }, signal });
  return (await answer<{ problems: Fault[] }>(call)).problems;
}

interface Save {
  source: string;
  message?: string | undefined;
  draft?: boolean;
}

export const createFlow = ({ source, message, draft = false }: Save): Promise<Saved> =>
  answer<Saved>(api.POST('/api/v1/flows', { params: { query: { draft } }, body: { source, message } }));

/** Refused with 412 when the flow is no longer at `revision`. */
export const saveFlow = (slug: string, revision: number, { source, message, draft = false }: Save): Promise<Saved> =>
  answer<Saved>(
    api.PUT('/api/v1/flows/{slug}', {
      params: { path: { slug }, query: { draft }, header: { 'If-Match': `"${revision}"` } },
      body: { source, message },
    }),
  );

export const compare = (source: string): Promise<Diff> =>
  answer<Diff>(api.POST('/api/v1/flows/diff', { body: { source } }));

export function runVersion(slug: string, version: number, inputs: Record<string, unknown>): Promise<Started> {
  const call = api.POST('/api/v1/flows/{slug}/runs', {
    params: { path: { slug } },
    body: { inputs, version },
    headers: { 'Idempotency-Key': crypto.randomUUID() },
  } as never);
  return answer<Started>(call);
}

export const actionsQuery = queryOptions({
  queryKey: ['actions'],
  staleTime: 60_000,
  queryFn: async () => {
    const call = api.GET('/api/v1/modules', { params: { query: { limit: 500 } } });
    const { items } = await answer<Schemas['ModuleList']>(call);
    return items.flatMap((module) => module.actions.map((action): ActionSummary => ({ ...action, module: module.title })));
  },
});

/** `core@1/log` names the action `log` of the module `core`. */
export function actionPath(uses: string): { module: string; action: string } | null {
  const found = /^([a-z][a-z0-9_]*)(?:@[^/]*)?\/([a-z][a-z0-9_]*)$/.exec(uses);
  return found ? { module: found[1] ?? '', action: found[2] ?? '' } : null;
}

export const actionQuery = (uses: string) =>
  queryOptions({
    queryKey: ['action', uses],
    staleTime: 60_000,
    retry: false,
    enabled: actionPath(uses) !== null,
    queryFn: () => {
      const path = actionPath(uses) ?? { module: '', action: '' };
      return answer<Action>(api.GET('/api/v1/modules/{module}/actions/{action}', { params: { path } }));
    },
  });

export function testAction(uses: string, inputs: Record<string, unknown>, dry: boolean): Promise<Outcome> {
  const path = actionPath(uses) ?? { module: '', action: '' };
  return answer<Outcome>(
    api.POST('/api/v1/modules/{module}/actions/{action}/test', { params: { path }, body: { inputs, dry_run: dry } }),
  );
}
