import { useMutation, useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { Icon } from '@/components/ui/Icon';
import { StatusChip } from '@/components/ui/StatusMark';
import { duration } from '@/lib/format';
import { useMay } from '@/lib/may';

import { actionQuery, testAction, type Outcome } from './api';
import { hasExpression } from './form/schema';
import { isMapping, named, type Mapping, type Picture } from './picture';

/** One action, tried on a sample: outside any flow, with nothing of the flow stored. */
export function TestPane({ picture, selected }: { picture: Picture | null; selected: string | null }) {
  const place = picture ? named(picture, selected) : undefined;
  const uses = place?.value.uses;
  const { t } = useTranslation('editor');
  if (!place || typeof uses !== 'string') return <p className="dock pane-test none">{t('test.choose')}</p>;
  const inputs = isMapping(place.value.with) ? place.value.with : {};
  return <Trial key={`${place.key} ${uses}`} id={place.key} uses={uses} inputs={inputs} />;
}

/** What is written in the step, where it needs nothing of a run. */
function sampleOf(inputs: Mapping): string {
  const plain = Object.entries(inputs).filter(([, value]) => !hasExpression(JSON.stringify(value)));
  return JSON.stringify(Object.fromEntries(plain), null, 2);
}

function Trial({ id, uses, inputs }: { id: string; uses: string; inputs: Mapping }) {
  const { t } = useTranslation('editor');
  const may = useMay();
  const field = useId();
  const { data: action } = useQuery(actionQuery(uses));
  const [typed, setTyped] = useState<string | null>(null);
  const [really, setReally] = useState(false);
  const text = typed ?? sampleOf(inputs);
  const sample = read(text);
  const safe = action?.effects === 'read';
  const dry = !safe && !really;
  const trial = useMutation({ mutationFn: (given: Record<string, unknown>) => testAction(uses, given, dry) });
  if (!may('runs:write')) return null;
  const missing = Object.keys(inputs).filter((name) => hasExpression(JSON.stringify(inputs[name])) && sample && !(name in sample));
  return (
    <section className="dock pane-test" aria-label={t('test.title', { id })} tabIndex={-1}>
      <div className="ph">
        <Icon name="beaker" small />
        <h2>{t('test.title', { id })}</h2>
        <span className="muted grow trunc">{t(safe ? 'test.safe' : dry ? 'test.dry' : 'test.real')}</span>
        {!safe && (
          <label className="check">
            <input type="checkbox" checked={really} onChange={(event) => setReally(event.target.checked)} />
            {t('test.really')}
          </label>
        )}
        <button type="button" className="btn go" data-act="test" disabled={!sample || trial.isPending} onClick={() => sample && trial.mutate(sample)}>
          <Icon name="play" small />
          {dry ? t('test.check') : t('test.run')}
        </button>
      </div>
      <div className="dk">
        <div className="field">
          <label htmlFor={field}>{t('test.input')}</label>
          <textarea id={field} className="input mono" value={text} spellCheck={false} aria-invalid={!sample} aria-describedby={`${field}-about`} onChange={(event) => setTyped(event.target.value)} />
          <p id={`${field}-about`} className={sample ? 'hint' : 'fault'}>
            {!sample ? t('field.no_json') : missing.length > 0 ? t('test.missing', { names: missing.join(', ') }) : ''}
          </p>
        </div>
        <div className="out" aria-live="polite">
          {trial.error ? <Refused error={trial.error} /> : trial.data ? <Result outcome={trial.data} /> : <p className="muted">{t('test.empty')}</p>}
        </div>
      </div>
    </section>
  );
}

function Refused({ error }: { error: Error }) {
  const faults = error instanceof ApiError ? error.errors : [];
  return (
    <>
      <p className="fault">{error.message}</p>
      {faults.map((fault) => (
        <p key={`${fault.path} ${fault.message}`} className="hint">
          <code>{fault.path}</code> {fault.message}
        </p>
      ))}
    </>
  );
}

function Result({ outcome }: { outcome: Outcome }) {
  const { t } = useTranslation('editor');
  const { status, output, error, logs } = outcome;
  if (status === 'valid') return <p>{t('test.valid')}</p>;
  return (
    <>
      <p className="row">
        <StatusChip status={status === 'succeeded' ? 'succeeded' : 'failed'} />
        <span className="muted">{duration(outcome.duration_seconds * 1000)}</span>
      </p>
      {error && <p className="fault">{`${String(error.type ?? '')} ${String(error.message ?? '')}`}</p>}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by scrolling */}
      <pre tabIndex={0} aria-label={t('test.output')}>
        {[JSON.stringify(output ?? null, null, 2), ...logs.map((line) => `${String(line.level ?? '')} ${String(line.message ?? '')}`)].join('\n')}
      </pre>
    </>
  );
}

function read(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isMapping(value) ? value : null;
  } catch {
    return null;
  }
}
