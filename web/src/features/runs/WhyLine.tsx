import { useTranslation } from 'react-i18next';

import type { Why } from '@/api/runs';
import { clockTime } from '@/lib/format';

const TOLD = [
  'concurrency',
  'retrying',
  'sleep',
  'subflow',
  'cancelling',
  'timing_out',
  'no_worker_free',
  'dispatched',
  'running',
] as const;
const TOLD_AT_ONCE = 3;

/** Why it is where it is, in the reader's language; a reason that this page does not know stands as the server says it. */
export function WhyLine({ why }: { why: Why }) {
  const { t } = useTranslation('runs');
  const sentences = why.parts.slice(0, TOLD_AT_ONCE).map((part) => {
    const code = TOLD.find((each) => each === part.code);
    const at = part.wake_at ? clockTime(part.wake_at, true) : '';
    return code ? t(`why.${code}`, { step: part.step ?? '', limit: part.limit ?? 1, at }) : part.sentence;
  });
  const more = why.parts.length - sentences.length;
  return (
    <p className="why-line" role="status" data-testid="why">
      {sentences.join(' ') || t('why.begin')} {more > 0 && t('why.more', { count: more })}
    </p>
  );
}
