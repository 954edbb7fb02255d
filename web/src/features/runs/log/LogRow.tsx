import { memo } from 'react';
import { useTranslation } from 'react-i18next';

import type { LogLine } from '@/api/runs';
import { clockTime } from '@/lib/format';

import { piecesOf } from './ansi';

const TONE: Record<string, string> = { error: 't-err', critical: 't-err', warning: 't-warn', info: 't-run' };

interface Props {
  top: number;
  n: number;
  line: LogLine | undefined;
  query: string;
  chosen: boolean;
  /** Lines of more than one step: each says whose it is. */
  whole: boolean;
  onChoose: (line: number | undefined) => void;
}

export const LogRow = memo(function LogRow({ top, n, line, query, chosen, whole, onChoose }: Props) {
  const { t } = useTranslation('runs');
  const bad = line?.level === 'error' || line?.level === 'critical';
  const level = line?.level as 'debug' | 'info' | 'warning' | 'error' | 'critical' | undefined;
  return (
    <div className={['l', bad && 'e', chosen && 'hit'].filter(Boolean).join(' ')} style={{ top }} data-line={n}>
      <button
        type="button"
        className="n"
        tabIndex={-1}
        aria-label={t('log.choose', { line: n })}
        onClick={() => onChoose(chosen ? undefined : n)}
      >
        {n}
      </button>
      <span className="tm">{line && clockTime(line.at, true)}</span>
      <span className={`lvl ${TONE[level ?? ''] ?? 'muted'}`}>{level && t(`log.level.${level}`)}</span>
      <span className="m">
        {line && whole && <span className="muted">{line.step} </span>}
        {line ? piecesOf(line.text, query).map((piece, index) => <Part key={index} {...piece} />) : '…'}
      </span>
    </div>
  );
});

function Part({ text, className, hit }: { text: string; className: string; hit: boolean }) {
  if (hit) return <mark>{text}</mark>;
  return className ? <span className={className}>{text}</span> : text;
}
