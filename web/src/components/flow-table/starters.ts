import type { Starter } from '@/api/flows';
import i18next from 'i18next';

import { cronSentence, everyText } from '@/lib/cron';

/** What starts a flow by itself, as one line: `a cada hora, no minuto 30`. */
export function startersText(starters: Starter[]): string {
  const awake = starters.filter((starter) => starter.enabled);
  if (awake.length === 0) return i18next.t('flows:start.manual');
  const texts = awake.map((starter) => {
    if (starter.cron) return cronSentence(starter.cron);
    if (starter.every) return everyText(starter.every);
    if (starter.type === 'webhook') return i18next.t('flows:start.webhook');
    if (starter.event) return i18next.t('flows:start.event', { event: starter.event });
    return starter.type;
  });
  return texts.join(' · ');
}

/** Starts by something that comes from outside, at no time of its own. */
export const startsByEvent = (starters: Starter[]): boolean =>
  starters.some((starter) => starter.enabled && (starter.type === 'webhook' || starter.event !== null));
