import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { Fault } from '@/api/client';
import { Icon } from '@/components/ui/Icon';
import { StatusMark } from '@/components/ui/StatusMark';
import { notify } from '@/components/ui/toasts';

import { offsetOf, type TextEditor } from './text-editor';

/** The text, and below it what is wrong with it. */
export function CodePane({ editor, faults }: { editor: TextEditor; faults: Fault[] }) {
  const { t } = useTranslation(['editor', 'common']);
  const own = useRef<HTMLDivElement>(null);
  useEffect(() => {
    own.current?.append(editor.host);
    editor.label(t('yaml.label'));
  }, [editor, t]);
  return (
    <section className="pane pane-yaml" aria-label={t('pane.yaml')}>
      <div className="ph">
        <h2>{t('pane.yaml')}</h2>
        <button
          type="button"
          className="iconbtn"
          aria-label={t('common:action.copy')}
          onClick={() => void navigator.clipboard?.writeText(editor.source()).then(() => notify(t('common:action.copied')))}
        >
          <Icon name="copy" small />
        </button>
      </div>
      <div className="code" ref={own} />
      <Problems faults={faults} onGo={(fault) => go(editor, fault)} />
    </section>
  );
}

function go(editor: TextEditor, fault: Fault): void {
  editor.select(offsetOf(editor.snapshot().text, fault.line ?? 1, fault.column ?? 1), true);
}

function Problems({ faults, onGo }: { faults: Fault[]; onGo: (fault: Fault) => void }) {
  const { t } = useTranslation('editor');
  const errors = faults.filter((fault) => fault.severity !== 'warning').length;
  const summary = errors > 0 ? t('problems.errors', { count: errors }) : t('problems.warnings', { count: faults.length });
  return (
    <div className="problems">
      <p role="status">
        {faults.length > 0 && <StatusMark status={errors > 0 ? 'failed' : 'warned'} />}
        <b>{faults.length > 0 ? summary : t('problems.none')}</b>
      </p>
      {faults.length > 0 && (
        <ul aria-label={t('problems.label')}>
          {faults.map((fault) => (
            <li key={`${fault.line} ${fault.column} ${fault.code} ${fault.path}`}>
              <button type="button" onClick={() => onGo(fault)}>
                <b>{t('problems.place', { line: fault.line ?? 1, column: fault.column ?? 1 })}</b> {fault.message}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
