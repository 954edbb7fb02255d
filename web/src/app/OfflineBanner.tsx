import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { apiUrl } from '@/lib/base';
import { useSecond } from '@/lib/clock';
import { duration } from '@/lib/format';
import { useLiveState } from '@/lib/live';

/** While the server does not answer: since when, and a way to try at once. What is loaded stays readable. */
export function OfflineBanner() {
  const state = useLiveState();
  return state === 'reconnecting' || state === 'polling' ? <Banner /> : null;
}

function Banner() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const now = useSecond();
  const [since] = useState(() => Date.now());
  const [reached, setReached] = useState(false);
  useEffect(() => {
    const ask = async (): Promise<void> => {
      const answer = await fetch(apiUrl('/health/live')).catch(() => null);
      setReached(answer?.ok === true);
    };
    const timer = setInterval(() => void ask(), 5_000);
    return () => clearInterval(timer);
  }, []);
  if (reached) return null; // requests pass: only the stream is held up, which the live mark says
  return (
    <div className="banner" role="status">
      <span>{t('offline.banner', { elapsed: duration(Math.max(1000, Math.floor((now - since) / 1000) * 1000)) })}</span>
      <button type="button" className="btn sm" onClick={() => void client.invalidateQueries()}>
        {t('action.retry_now')}
      </button>
    </div>
  );
}
