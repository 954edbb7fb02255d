import { useTranslation } from 'react-i18next';

import { useLiveState } from '@/lib/live';

/** The mark beats while events may arrive, and stands still when the stream is down. */
export function LiveMark() {
  const { t } = useTranslation();
  const state = useLiveState();
  const word = state === 'reconnecting' || state === 'polling' ? t(`live.${state}`) : t('live.live');
  return (
    <span className="live" data-state={state} title={t('live.hint')}>
      <svg viewBox="0 0 16 16" fill="none" strokeLinecap="round" aria-hidden="true">
        <path
          className="live-water"
          d="M1 14.6q1.75-1.6 3.5 0t3.5 0 3.5 0 3.5 0"
          strokeWidth="1.4"
        />
        <path className="live-post" d="M8 6.8v5.6" strokeWidth="1.8" />
        <g className={state === 'live' ? 'beam' : undefined}>
          <path className="live-beam" d="M2 8.4 14 4.6M13 5v4" strokeWidth="1.9" />
        </g>
      </svg>
      {word}
    </span>
  );
}
