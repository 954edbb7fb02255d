import { useTranslation } from 'react-i18next';

import type { Background, Changed, Run } from '@/api/runs';
import { Icon } from '@/components/ui/Icon';
import { StatusMark } from '@/components/ui/StatusMark';

const SHOWN = 12;

interface Props {
  run: Run;
  background: Background;
  onRepeat: () => void;
  canRepeat: boolean;
}

/** Why it failed and what is different from the last time it worked. */
export function CauseCard({ run, background, onRepeat, canRepeat }: Props) {
  const { t } = useTranslation('runs');
  const { cause, last_good: good } = background;
  if (!cause) return null;
  const [head, ...rest] = cause.message.split('\n');
  return (
    <section className="cause" aria-labelledby="cause-title" data-testid="cause">
      <div className="why">
        <StatusMark status={run.status} silent />
        <div>
          <h2 id="cause-title">
            {cause.step ? (
              <>
                <code>{cause.step}</code> {t('cause.failed')}: {head}
              </>
            ) : (
              head
            )}
          </h2>
          <p>
            {cause.place
              ? t('cause.at', { type: cause.type, file: cause.place.file, line: cause.place.line })
              : t('cause.type', { type: cause.type })}{' '}
            {cause.same_in_a_row > 1 && t('cause.same', { count: cause.same_in_a_row })} {sentence(background, t)}
          </p>
          {rest.length > 0 && <pre className="cause-more">{rest.join('\n').trim()}</pre>}
          <div className="acts">
            {canRepeat && (
              <button type="button" className="btn" onClick={onRepeat}>
                <Icon name="form" small />
                {t('cause.corrected')}
              </button>
            )}
          </div>
        </div>
      </div>
      <div className="diff">
        <div className="dh">
          <b>{t('cause.changed')}</b>
          <span>{good ? t('cause.between', { good: good.number, run: run.number }) : t('cause.never_good')}</span>
        </div>
        {good && <Changes changes={cause.changes} more={cause.more_changes} />}
        {good && (
          <div className="same">
            {cause.unchanged.map((what) => (
              <span key={what}>
                <Icon name="check" small />
                {t(`cause.unchanged.${what}`)}
              </span>
            ))}
          </div>
        )}
      </div>
    </section>
  );
}

type Translate = ReturnType<typeof useTranslation<'runs'>>['t'];

function sentence({ cause, last_good: good }: Background, t: Translate): string {
  if (!cause || !good) return t('cause.sentence.first');
  const what = new Set(cause.changes.map((change) => change.what));
  if (what.has('flow')) return t('cause.sentence.flow');
  if (what.has('modules')) return t('cause.sentence.modules');
  if (what.has('inputs')) return t('cause.sentence.inputs');
  if (what.has('outputs')) return t('cause.sentence.outputs');
  if (what.has('worker')) return t('cause.sentence.worker');
  return t('cause.sentence.nothing');
}

function Changes({ changes, more }: { changes: Changed[]; more: number }) {
  const { t } = useTranslation('runs');
  const shown = changes.slice(0, SHOWN);
  const hidden = more + changes.length - shown.length;
  if (changes.length === 0) return <p className="diff-none">{t('cause.no_change')}</p>;
  return (
    // Long values are read by scrolling, so the box takes the focus.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre tabIndex={0} aria-label={t('cause.changed')}>
      {shown.map((change) => (
        <Change key={`${change.what} ${change.path}`} change={change} />
      ))}
      {hidden > 0 && <span className="ctx">{t('cause.more', { count: hidden })}</span>}
    </pre>
  );
}

function Change({ change }: { change: Changed }) {
  const { t } = useTranslation('runs');
  const name = [t(`cause.what.${change.what}`), change.path].filter(Boolean).join(' · ');
  return (
    <>
      <span className="ctx">{name}</span>
      {change.kind !== 'added' && <span className="del">− {written(change.before)}</span>}
      {change.kind !== 'removed' && <span className="add">+ {written(change.after)}</span>}
    </>
  );
}

const written = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
