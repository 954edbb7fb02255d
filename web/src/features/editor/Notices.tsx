import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { TextEditor } from './code/text-editor';
import type { Keeping } from './useDraft';
import type { Publishing } from './usePublishing';

/** What somebody must know before they type: an old text was taken up again, the flow moved on, nothing is kept. */
export function Notices({ publishing, keeping, editor }: { publishing: Publishing; keeping: Keeping; editor: TextEditor }) {
  const { t } = useTranslation('editor');
  const [restored, setRestored] = useState(keeping.keptAt !== null);
  const { server, behind } = publishing;
  if (keeping.refused) return <p className="notice warn" role="alert">{t('draft.refused')}</p>;
  if (behind) {
    return (
      <div className="notice warn" role="status">
        <p>{t('conflict.behind', { number: server.version })}</p>
        <button type="button" className="btn sm" onClick={() => publishing.ask('changes')}>
          {t('changes.open')}
        </button>
        <button type="button" className="btn sm" onClick={publishing.takeTheirs}>
          {t('conflict.theirs')}
        </button>
      </div>
    );
  }
  if (!restored) return null;
  return (
    <div className="notice" role="status">
      <p>{t('draft.restored')}</p>
      <button
        type="button"
        className="btn sm"
        onClick={() => {
          editor.apply(server.source.replaceAll('\r\n', '\n'));
          setRestored(false);
        }}
      >
        {t('draft.discard')}
      </button>
      <button type="button" className="btn sm" onClick={() => setRestored(false)}>
        {t('draft.go_on')}
      </button>
    </div>
  );
}
