import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import type { Run } from '@/api/runs';
import { Dialog } from '@/components/ui/Dialog';
import { Icon } from '@/components/ui/Icon';

import { repeatRun, type Repeat } from './api';

interface Props {
  run: Run;
  /** The steps that it can be repeated from. */
  steps: string[];
  from: string | null;
  onClose: () => void;
  onRepeated: (id: string) => void;
}

/** From where, with which input, by which version. */
export function RepeatDialog({ run, steps, from, onClose, onRepeated }: Props) {
  const { t } = useTranslation('runs');
  const client = useQueryClient();
  const original = JSON.stringify(run.inputs, null, 2);
  const [start, setStart] = useState(from ?? '');
  const [text, setText] = useState(original);
  const [newest, setNewest] = useState(false);
  const parsed = objectOf(text);
  const edited = parsed !== null && JSON.stringify(parsed) !== JSON.stringify(run.inputs);
  const repeat = useMutation({
    mutationFn: () => {
      const wish: Repeat = {
        version: newest ? 'newest' : 'same',
        from_step: start || null,
        inputs: edited ? parsed : null,
      };
      return repeatRun(run.id, wish);
    },
    onSuccess: (made) => {
      void client.invalidateQueries({ queryKey: ['run', run.id] });
      onRepeated(made.id);
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (parsed !== null) repeat.mutate();
  };
  return (
    <Dialog title={t('repeat.title', { number: run.number })} onClose={onClose} className="wide">
      <form className="form" onSubmit={submit}>
        <div className="field">
          <label htmlFor="repeat-from">{t('repeat.from')}</label>
          <select id="repeat-from" className="input" value={start} onChange={(event) => setStart(event.target.value)}>
            <option value="">{t('repeat.all')}</option>
            {steps.map((step) => (
              <option key={step} value={step}>
                {step}
              </option>
            ))}
          </select>
          {start && <span className="hint">{t('repeat.reuse', { step: start })}</span>}
        </div>
        <div className="field">
          <label htmlFor="repeat-inputs">{t('repeat.inputs')}</label>
          <textarea
            id="repeat-inputs"
            className="input mono"
            rows={Math.min(Math.max(text.split('\n').length, 4), 14)}
            spellCheck={false}
            value={text}
            aria-invalid={parsed === null}
            aria-describedby="repeat-fault"
            onChange={(event) => setText(event.target.value)}
          />
          <span className="fault" id="repeat-fault" role="alert">
            {parsed === null ? t('repeat.not_json') : ''}
          </span>
          {edited && <Difference before={run.inputs} after={parsed} />}
        </div>
        <label className="check">
          <input type="checkbox" checked={newest} onChange={(event) => setNewest(event.target.checked)} />
          {t('repeat.newest', { version: run.version })}
        </label>
        {repeat.error && (
          <p className="fault" role="alert">
            {repeat.error instanceof ApiError ? repeat.error.detail : repeat.error.message}
          </p>
        )}
        <div className="dialog-f">
          <button type="button" className="btn" onClick={onClose}>
            {t('action.close', { ns: 'common' })}
          </button>
          <button type="submit" className="btn go" disabled={parsed === null || repeat.isPending}>
            <Icon name="retry" small />
            {t('repeat.go')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function objectOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** What the edited input changes, key by key. */
function Difference({ before, after }: { before: Record<string, unknown>; after: Record<string, unknown> }) {
  const { t } = useTranslation('runs');
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- long values are read by scrolling
    <pre className="diffbox" tabIndex={0} aria-label={t('repeat.difference')}>
      {changed.map((key) => (
        <span key={key}>
          {key in before && <span className="del">{`− ${key}: ${JSON.stringify(before[key])}`}</span>}
          {key in after && <span className="add">{`+ ${key}: ${JSON.stringify(after[key])}`}</span>}
        </span>
      ))}
    </pre>
  );
}
