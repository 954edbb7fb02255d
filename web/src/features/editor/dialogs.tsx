import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { InputFields, readFields, type Field } from '@/components/run-flow/InputFields';
import { Dialog } from '@/components/ui/Dialog';
import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';

import { compare } from './api';

interface Closing {
  onClose: () => void;
}

export function PublishDialog({ number, busy, onClose, onPublish }: Closing & { number: number; busy: boolean; onPublish: (message?: string) => void }) {
  const { t } = useTranslation(['editor', 'common']);
  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const message = String(new FormData(event.currentTarget).get('message') ?? '').trim();
    if (!busy) onPublish(message || undefined);
  }
  return (
    <Dialog title={t('publish.title')} onClose={onClose}>
      <form className="form" onSubmit={submit}>
        <div className="field">
          <label htmlFor="publish-message">{t('publish.message')}</label>
          <input id="publish-message" className="input" name="message" maxLength={500} aria-describedby="publish-hint" />
          <p className="hint" id="publish-hint">
            {number > 1 ? t('publish.hint') : t('publish.first_hint')}
          </p>
        </div>
        <div className="dialog-f">
          <button type="button" className="btn" onClick={onClose}>
            {t('common:action.cancel')}
          </button>
          <button type="submit" className="btn primary" disabled={busy}>
            {t('publish.open')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function ChangesDialog({ source, onClose }: Closing & { source: string }) {
  const { t } = useTranslation('editor');
  return (
    <Dialog title={t('changes.title')} onClose={onClose} className="wide">
      <Changes source={source} />
    </Dialog>
  );
}

/** Somebody else published or saved a draft since this text was opened. Neither text is lost, whatever is chosen. */
export function ConflictDialog(
  props: Closing & { source: string; number: number; draft: boolean; busy: boolean; onTheirs: () => void; onMine: () => void },
) {
  const { t } = useTranslation('editor');
  return (
    <Dialog title={t('conflict.title')} onClose={props.onClose} className="wide">
      <p>{t('conflict.text', { number: props.number })}</p>
      <Changes source={props.source} />
      <div className="dialog-b">
        <div className="dialog-f">
          <button type="button" className="btn" onClick={props.onTheirs}>
            {t('conflict.theirs')}
          </button>
          <button type="button" className="btn" disabled={props.busy} onClick={props.onMine}>
            {props.draft ? t('conflict.mine_draft') : t('conflict.mine')}
          </button>
          <button type="button" className="btn primary" onClick={props.onClose}>
            {t('conflict.go_on')}
          </button>
        </div>
      </div>
    </Dialog>
  );
}

function Changes({ source }: { source: string }) {
  const { t } = useTranslation('editor');
  const { data, error, refetch } = useQuery({ queryKey: ['flow-compare', source], queryFn: () => compare(source), gcTime: 0, retry: false });
  if (error) return <PanelError error={error} retry={() => void refetch()} />;
  if (!data) return <div className="dialog-b"><Skeleton rows={4} height={20} /></div>;
  const lines = data.text.split('\n').slice(2);
  const kind = (line: string): string | undefined =>
    line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : line.startsWith('@@') ? 'place' : undefined;
  if (data.text === '') return <p>{t('changes.none')}</p>;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by scrolling
    <pre className="diff mono" tabIndex={0} aria-label={t('changes.title')}>
      {lines.map((line, place) => (
        // oxlint-disable-next-line react/no-array-index-key -- lines repeat, their places do not
        <span key={place} className={kind(line)}>
          {`${line}\n`}
        </span>
      ))}
    </pre>
  );
}

export function RunDraftDialog({ document, onClose, onRun }: Closing & { document: Record<string, unknown>; onRun: (inputs: Record<string, unknown>) => void }) {
  const { t } = useTranslation(['editor', 'common']);
  const [faults, setFaults] = useState<Record<string, string>>({});
  const schema = (document.inputs ?? {}) as { properties?: Record<string, Field>; required?: string[] };
  const fields = Object.entries(schema.properties ?? {});
  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const { values, broken } = readFields(new FormData(event.currentTarget), fields);
    setFaults(broken);
    if (Object.keys(broken).length === 0) onRun(values);
  }
  return (
    <Dialog title={t('draft.run')} onClose={onClose}>
      <form className="form" noValidate onSubmit={submit}>
        <InputFields fields={fields} required={schema.required ?? []} faults={faults} />
        <div className="dialog-f">
          <button type="button" className="btn" onClick={onClose}>
            {t('common:action.cancel')}
          </button>
          <button type="submit" className="btn go">
            <Icon name="play" small />
            {t('common:action.run')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
