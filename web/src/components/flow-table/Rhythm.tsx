import { useTranslation } from 'react-i18next';

import type { FlowRow } from '@/api/flows';
import { toneOf } from '@/components/ui/StatusMark';

const PLACES = 25;
const STEP = 6.2;
const LINE = 17;

/** The last runs of a flow on its own waterline: success rises, failure sinks, the next one stands hollow. */
export function Rhythm({ flow }: { flow: FlowRow }) {
  const { t } = useTranslation('flows');
  const longest = Math.max(1, ...flow.rhythm.map((run) => run.ms ?? 0));
  const future = flow.next_at !== null;
  const width = PLACES * STEP;
  const first = PLACES - 1 - flow.rhythm.length;
  const failed = flow.rhythm.filter((run) => toneOf(run.status) === 'err').length;
  const succeeded = flow.rhythm.filter((run) => run.status === 'succeeded').length;
  return (
    <svg
      className="rh"
      width={width}
      height={28}
      viewBox={`0 0 ${width} 28`}
      role="img"
      aria-label={t('rhythm.label', { count: flow.rhythm.length, succeeded, failed })}
    >
      <path className="rh-line" d={`M0 ${LINE + 0.5}H${width}`} />
      {flow.rhythm.map((run, place) => {
        const x = (first + place) * STEP + 0.8;
        const height = 3 + (Math.sqrt((run.ms ?? 0) / longest) || 0.3) * 11;
        return <Bar key={run.run} status={run.status} x={x} height={height} />;
      })}
      {future && <rect className="rh-next" x={(PLACES - 1) * STEP + 1.4} y={LINE - 8.4} width={3.2} height={8} rx={1} />}
    </svg>
  );
}

function Bar({ status, x, height }: { status: string; x: number; height: number }) {
  const tone = toneOf(status);
  if (tone === 'err') return <rect className="rh-err" x={x} y={LINE + 1.5} width={4.4} height={8.5} rx={1} />;
  if (tone === 'run') return <rect className="rh-run" x={x} y={LINE - 12} width={4.4} height={12} rx={1} />;
  if (tone === 'ok') return <rect className="rh-ok" x={x} y={LINE - height} width={4.4} height={height} rx={1} />;
  return <rect className="rh-idle" x={x + 0.5} y={LINE - 6} width={3.4} height={5.5} rx={1} />;
}
