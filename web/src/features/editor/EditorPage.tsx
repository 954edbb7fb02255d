import './editor.css';

import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { meQuery } from '@/api/queries';
import { Page } from '@/components/layout/Page';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { link } from '@/lib/links';

import { storedQuery, type Stored } from './api';
import { drafts } from './drafts';
import { Workspace } from './Workspace';

const starter = (id: string, name: string, message: string): string => `schema: monjolo/flow/v1
id: ${id}
name: ${name}
steps:
  - id: ${id.split('-')[0]}_1
    uses: core/log
    with:
      message: ${message}
`;

/** `/flows/new` and `/flows/$slug/edit`: reads what the server and this browser have, then opens the workspace. */
export function EditorPage() {
  const { t } = useTranslation(['editor', 'common']);
  const { slug } = useParams({ strict: false }) as { slug?: string };
  const me = useQuery(meQuery);
  const server = useQuery({ ...storedQuery(slug ?? ''), enabled: slug !== undefined });
  const person = me.data?.user?.id;
  const key = `${person ?? ''} ${slug ?? '@new'}`;
  const kept = useQuery({
    queryKey: ['draft', key],
    enabled: person !== undefined,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnMount: 'always', // what an earlier visit read is not what this one must show
    networkMode: 'always',
    queryFn: () => drafts.get(key).then((draft) => draft ?? null, () => null),
  });
  const crumbs = [{ label: t('common:nav.flows'), to: '/flows' }];
  const title = slug ?? t('new');
  if (server.error) {
    const gone = server.error instanceof ApiError && server.error.status === 404;
    return (
      <Page title={title} crumbs={crumbs} className="lone">
        <h1>{gone ? t('gone', { slug }) : title}</h1>
        {!gone && <PanelError error={server.error} retry={() => void server.refetch()} />}
      </Page>
    );
  }
  if (kept.data === undefined || !kept.isFetchedAfterMount || (slug !== undefined && !server.data)) {
    return (
      <Page title={title} crumbs={crumbs} slim>
        <h1 className="sr">{title}</h1>
        <Skeleton rows={6} height={52} />
      </Page>
    );
  }
  const fresh: Stored = {
    name: t('new'),
    source: starter(t('starter.id'), t('starter.name'), t('starter.message')),
    published: null,
    version: 0,
    draft: null,
    revision: 0,
  };
  const stored = server.data ?? fresh;
  return (
    <Page
      title={slug ? t('title') : t('new')}
      crumbs={slug ? [...crumbs, { label: stored.name, to: link.flow(slug) }] : crumbs}
      slim
      className="editor"
    >
      <Workspace key={key} draftKey={key} slug={slug ?? null} stored={stored} kept={kept.data} />
    </Page>
  );
}
