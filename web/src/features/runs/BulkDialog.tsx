import { useQuery } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { Dialog } from '@/components/ui/Dialog';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { number } from '@/lib/format';

import { actOn, bulk, type BulkAction, type RunFilters } from './explorer-api';

interface Props {
  action: BulkAction;
  filters: RunFilters;
  /** These runs alone; without it, all that the filter finds. */
  chosen: string[] | null;
  onClose: (done: number) => void;
}

interface Progress {
  done: number;
  refused: number;
  state: 'ready' | 'going' | 'stopped' | 'done';
  error: string | null;
}

/** Says how many before it does anything, and can be stopped half-way. */
export function BulkDialog({ action, filters, chosen, onClose }: Props) {
  const { t } = useTranslation('runs');
  const count = useQuery({
    queryKey: ['runs', 'bulk', action, filters],
    queryFn: () => bulk(filters, action, { dryRun: true }),
    enabled: chosen === null,
    gcTime: 0,
    retry: false,
  });
  const [progress, setProgress] = useState<Progress>({ done: 0, refused: 0, state: 'ready', error: null });
  const stop = useRef(false);
  const total = chosen?.length ?? count.data?.total ?? count.data?.total_at_least ?? 0;
  const totalText =
    count.data?.total_at_least === undefined ? number(total) : t('bulk.at_least', { total: number(total) });
  const run = async (): Promise<void> => {
    stop.current = false;
    setProgress({ done: 0, refused: 0, state: 'going', error: null });
    const outcome = await (chosen ? each(chosen, action, stop, setProgress) : all(filters, action, stop, setProgress));
    setProgress((now) => ({
      ...now,
      state: outcome.error === null && !stop.current ? 'done' : 'stopped',
      error: outcome.error,
    }));
  };
  const going = progress.state === 'going';
  return (
    <Dialog title={t(`bulk.title.${action}`)} onClose={() => onClose(progress.done)} firm={going}>
      <div className="dialog-b form">
        {chosen === null && count.isPending && <Skeleton rows={2} />}
        {count.error && <PanelError error={count.error} retry={() => void count.refetch()} />}
        {(chosen !== null || count.data) && (
          <p data-testid="bulk-count">{t(`bulk.ask.${action}`, { count: total, total: totalText })}</p>
        )}
        {progress.state !== 'ready' && (
          <>
            <progress
              max={Math.max(total, 1)}
              value={progress.done + progress.refused}
              aria-label={t('bulk.progress')}
            />
            <p role="status">
              {t(`bulk.state.${progress.state}`, {
                done: number(progress.done),
                left: number(Math.max(total - progress.done - progress.refused, 0)),
              })}{' '}
              {progress.refused > 0 && t('bulk.refused', { count: progress.refused })}
            </p>
          </>
        )}
        {progress.error && (
          <p className="fault" role="alert">
            {progress.error}
          </p>
        )}
        <div className="dialog-f">
          {going ? (
            <button type="button" className="btn" onClick={() => (stop.current = true)}>
              {t('bulk.stop')}
            </button>
          ) : (
            <button type="button" className="btn" onClick={() => onClose(progress.done)}>
              {t('action.close', { ns: 'common' })}
            </button>
          )}
          {progress.state === 'ready' && (
            <button
              type="button"
              className={action === 'repeat' ? 'btn go' : 'btn bad'}
              disabled={total === 0}
              onClick={() => void run()}
            >
              {t(`bulk.go.${action}`, { count: total, total: totalText })}
            </button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

type Update = (change: (now: Progress) => Progress) => void;
const words = (error: unknown): string => (error instanceof ApiError ? error.detail : String(error));

async function each(
  ids: string[],
  action: BulkAction,
  stop: { current: boolean },
  update: Update,
): Promise<{ error: string | null }> {
  for (const id of ids) {
    if (stop.current) break;
    try {
      // One after the other: the person can stop in between.
      // oxlint-disable-next-line no-await-in-loop
      await actOn(id, action);
      update((now) => ({ ...now, done: now.done + 1 }));
    } catch (error) {
      update((now) => ({ ...now, refused: now.refused + 1 }));
      if (error instanceof ApiError && error.status === 0) return { error: words(error) };
    }
  }
  return { error: null };
}

async function all(
  filters: RunFilters,
  action: BulkAction,
  stop: { current: boolean },
  update: Update,
): Promise<{ error: string | null }> {
  const key = crypto.randomUUID(); // a page that is asked twice is done once
  let after: string | null = null;
  try {
    do {
      // Each page goes on where the one before ended.
      // oxlint-disable-next-line no-await-in-loop
      const page = await bulk(filters, action, { after, key });
      update((now) => ({
        ...now,
        done: now.done + (page.items?.length ?? 0),
        refused: now.refused + (page.refused?.length ?? 0),
      }));
      after = page.next ?? null;
    } while (after !== null && !stop.current);
  } catch (error) {
    return { error: words(error) };
  }
  return { error: null };
}
