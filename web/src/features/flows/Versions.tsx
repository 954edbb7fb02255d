import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useSearch } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { notify } from '@/components/ui/toasts';
import { When } from '@/components/ui/Time';
import { link } from '@/lib/links';
import { useMay } from '@/lib/may';

import { diffQuery, restore, versionsQuery, type Diff } from './api';

/** Every version, what each changed of the one before, and the way back to it. */
export function Versions({ slug, current }: { slug: string; current: number }) {
  const { t } = useTranslation(['flows', 'common']);
  const client = useQueryClient();
  const may = useMay();
  const { a, b } = useSearch({ strict: false }) as { a?: number; b?: number };
  const query = useInfiniteQuery(versionsQuery(slug));
  const versions = query.data?.pages.flatMap((page) => page.items) ?? [];
  const address = `${link.flow(slug)}/versions`;

  async function back(number: number): Promise<void> {
    try {
      const made = await restore(slug, number);
      notify(t('versions.restored', { from: number, to: made.published }));
      for (const key of ['flow-versions', 'flow', 'flow-rows']) void client.invalidateQueries({ queryKey: [key] });
    } catch (error) {
      notify(error instanceof ApiError ? error.detail : String(error), { bad: true });
    }
  }

  return (
    <div className="overview">
      <section className="panel clip" aria-label={t('tab.versions')}>
        {query.error && !query.data && <PanelError error={query.error} retry={() => void query.refetch()} />}
        {query.isPending && <Skeleton rows={4} height={36} />}
        <ol className="version-list">
          {versions.map((version) => (
            <li key={version.number} className={version.number === b ? 'chosen' : undefined}>
              <b className="num">v{version.number}</b>
              <div className="grow">
                <p className="trunc">{version.message ?? t('versions.no_message')}</p>
                <small className="muted">
                  <When at={version.created_at} />
                  {version.number === current && ` · ${t('versions.current')}`}
                  {version.draft && ` · ${t('versions.draft')}`}
                </small>
              </div>
              {version.number > 1 && (
                <Link className="btn sm quiet" to={address} search={{ a: version.number - 1, b: version.number } as never} resetScroll={false}>
                  {t('versions.see')}
                </Link>
              )}
              {may('flows:write') && version.number !== current && !version.draft && (
                <button type="button" className="btn sm" onClick={() => void back(version.number)}>
                  {t('versions.restore', { number: version.number })}
                </button>
              )}
            </li>
          ))}
        </ol>
        {query.hasNextPage && (
          <div className="more">
            <button type="button" className="btn" onClick={() => void query.fetchNextPage()}>
              {t('common:action.show_more')}
            </button>
          </div>
        )}
      </section>
      {a !== undefined && b !== undefined && <Changes slug={slug} a={a} b={b} />}
    </div>
  );
}

const said = (value: unknown): string => (value === null || value === undefined ? '—' : typeof value === 'string' ? value : JSON.stringify(value));

function Changes({ slug, a, b }: { slug: string; a: number; b: number }) {
  const { t } = useTranslation('flows');
  const { data, error, refetch } = useQuery(diffQuery(slug, a, b));
  return (
    <section className="panel clip" aria-label={t('versions.title', { a, b })}>
      <div className="panel-h">
        <h2>{t('versions.title', { a, b })}</h2>
      </div>
      {error && <PanelError error={error} retry={() => void refetch()} />}
      {data && data.changes.length === 0 && <p className="quiet">{t('versions.same')}</p>}
      <ul className="changes">
        {data?.changes.map((change) => (
          <li key={change.path}>
            <span className="tag">{t(`versions.${change.kind}`)}</span>
            <code>{change.path}</code>
            {change.kind === 'changed' && (
              <span className="muted trunc">
                {said(change.before)} → {said(change.after)}
              </span>
            )}
          </li>
        ))}
      </ul>
      {data && <TextDiff diff={data} />}
    </section>
  );
}

function TextDiff({ diff }: { diff: Diff }) {
  const lines = diff.text.split('\n').slice(2);
  const kind = (line: string): string | undefined =>
    line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : line.startsWith('@@') ? 'place' : undefined;
  return (
    <pre className="diff mono">
      {lines.map((line, place) => (
        // oxlint-disable-next-line react/no-array-index-key -- lines repeat, their places do not
        <span key={place} className={kind(line)}>
          {`${line}\n`}
        </span>
      ))}
    </pre>
  );
}
