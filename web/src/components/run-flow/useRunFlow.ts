import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { startRun, type Started } from '@/api/flows';
import { notify } from '@/components/ui/toasts';

const GUARD_MS = 700; // a second click of the same hand is no second wish

/** Starts runs: once, however often somebody clicks. `busy` names the flow whose start is on its way. */
export function useRunFlow(onStarted?: (run: Started, slug: string) => void): {
  run: (slug: string, inputs?: Record<string, unknown>) => Promise<void>;
  busy: string | null;
} {
  const { t } = useTranslation('flows');
  const client = useQueryClient();
  const [busy, setBusy] = useState<string | null>(null);
  const guarded = useRef(new Set<string>());
  const run = useCallback(
    async (slug: string, inputs: Record<string, unknown> = {}): Promise<void> => {
      if (guarded.current.has(slug)) return;
      guarded.current.add(slug);
      setBusy(slug);
      try {
        const started = await startRun(slug, inputs);
        if (onStarted) onStarted(started, slug);
        else notify(t('run.started', { number: started.number }));
        void client.invalidateQueries({ queryKey: ['dashboard'] });
        void client.invalidateQueries({ queryKey: ['flow-rows'] });
      } catch (error) {
        notify(t('run.failed', { detail: error instanceof ApiError ? error.detail : String(error) }), { bad: true });
      } finally {
        setBusy(null);
        setTimeout(() => guarded.current.delete(slug), GUARD_MS);
      }
    },
    [client, onStarted, t],
  );
  return { run, busy };
}
