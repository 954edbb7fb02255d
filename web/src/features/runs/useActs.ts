import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { hasEnded, type Run } from '@/api/runs';
import { notify } from '@/components/ui/toasts';

import { cancelRun, repeatRun } from './api';

/** What can be done to a run; `askedAt` is when it was asked to end, while it has not. */
export function useActs(run: Run): {
  repeat: (from: string | null) => void;
  cancel: (force: boolean) => void;
  busy: boolean;
  askedAt: number | null;
} {
  const { t } = useTranslation('runs');
  const navigate = useNavigate();
  const client = useQueryClient();
  const [askedAt, setAskedAt] = useState<number | null>(null);
  const failed = (error: Error): void =>
    notify(error instanceof ApiError ? error.detail : error.message, { bad: true });
  const repeat = useMutation({
    mutationFn: (from: string | null) => repeatRun(run.id, { from_step: from }),
    onSuccess: (made) => {
      void client.invalidateQueries({ queryKey: ['run', run.id] });
      notify(t('repeat.begun', { number: made.number }));
      void navigate({ to: '/runs/$id', params: { id: made.id }, search: {} });
    },
    onError: failed,
  });
  const cancel = useMutation({
    mutationFn: (force: boolean) => cancelRun(run.id, force),
    onSuccess: () => void client.invalidateQueries({ queryKey: ['run', run.id] }),
    onError: failed,
  });
  return {
    repeat: (from) => repeat.mutate(from),
    cancel: (force) => {
      setAskedAt((at) => at ?? Date.now());
      cancel.mutate(force);
    },
    busy: repeat.isPending,
    askedAt: hasEnded(run) ? null : askedAt,
  };
}
