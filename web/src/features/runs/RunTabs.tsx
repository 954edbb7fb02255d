import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import type { Run, Step } from '@/api/runs';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { StatusChip } from '@/components/ui/StatusMark';
import { apiUrl } from '@/lib/base';
import { bytes, clockTime } from '@/lib/format';

import { artifactsQuery } from './api';
import { happeningsOf } from './happenings';
import { JsonView } from './JsonView';

export function InputAndOutput({ run }: { run: Run }) {
  const { t } = useTranslation('runs');
  return (
    <div className="io">
      <h3>{t('io.inputs')}</h3>
      <JsonView value={run.inputs} label={t('io.inputs')} />
      <h3>{t('io.outputs')}</h3>
      {run.outputs === null ? (
        <p className="muted">{t('io.none')}</p>
      ) : (
        <JsonView value={run.outputs} label={t('io.outputs')} />
      )}
      {Object.keys(run.labels).length > 0 && (
        <>
          <h3>{t('io.labels')}</h3>
          <JsonView value={run.labels} label={t('io.labels')} />
        </>
      )}
    </div>
  );
}

export function Happenings({
  run,
  steps,
  onSelect,
}: {
  run: Run;
  steps: Step[];
  onSelect: (key: string, attempt?: number) => void;
}) {
  const { t } = useTranslation('runs');
  const list = happeningsOf(run, steps).slice(0, 1_000);
  return (
    <ol className="happenings" aria-label={t('tabs.events')}>
      {list.map((each, place) => (
        <li key={place}>
          <span className="num muted">{clockTime(each.at, true)}</span>
          {each.step !== null && (
            <button
              type="button"
              className="linklike mono"
              onClick={() => onSelect(each.step ?? '', each.attempt ?? undefined)}
            >
              {each.step}
            </button>
          )}
          <span>{t(`events.${each.what}`, { attempt: each.attempt ?? 1 })}</span>
          {each.status && <StatusChip status={each.status} />}
        </li>
      ))}
    </ol>
  );
}

export function Artifacts({ run }: { run: Run }) {
  const { t } = useTranslation('runs');
  const { data, error, refetch } = useQuery(artifactsQuery(run.id));
  if (error) return <PanelError error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton rows={4} />;
  if (data.items.length === 0) return <p className="empty">{t('artifacts.none')}</p>;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by scrolling
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('tabs.artifacts')}>
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">{t('artifacts.name')}</th>
            <th scope="col">{t('artifacts.step')}</th>
            <th scope="col">{t('artifacts.type')}</th>
            <th scope="col">{t('artifacts.size')}</th>
          </tr>
        </thead>
        <tbody>
          {data.items.map((each) => (
            <tr key={`${each.step} ${each.name}`}>
              <td>
                <a
                  href={apiUrl(
                    `/runs/${run.id}/artifacts/${encodeURIComponent(each.name)}?step=${encodeURIComponent(each.step)}`,
                  )}
                  download
                >
                  {each.name}
                </a>
              </td>
              <td className="mono">{each.step}</td>
              <td>{each.content_type}</td>
              <td className="num">{bytes(each.size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
