import { useTranslation } from 'react-i18next';

import type { Fault } from '@/api/client';
import { Icon } from '@/components/ui/Icon';
import { useSecond } from '@/lib/clock';
import { relative } from '@/lib/format';
import { useMay } from '@/lib/may';

import type { TextEditor } from './code/text-editor';
import { offsetOf } from './code/text-editor';
import type { Picture } from './picture';
import type { Keeping } from './useDraft';
import type { Publishing } from './usePublishing';
import { useSnapshot } from './useText';

interface Props {
  editor: TextEditor;
  publishing: Publishing;
  keeping: Keeping;
  faults: Fault[];
  picture: Picture | null;
}

/** What the text is, where it is kept, and what can be done with it as a whole. */
export function Head({ editor, publishing, keeping, faults, picture }: Props) {
  const { t } = useTranslation('editor');
  const may = useMay();
  const { text, canUndo, canRedo } = useSnapshot(editor);
  const { server, busy } = publishing;
  const errors = faults.filter((fault) => fault.severity !== 'warning');
  const name = picture?.flow.name ?? picture?.flow.id;
  const unpublished = text !== server.published?.replaceAll('\r\n', '\n');
  const toFirst = (): void => {
    const [first] = errors;
    if (first) editor.select(offsetOf(text, first.line ?? 1, first.column ?? 1), true);
  };
  return (
    <div className="eh">
      <h1 className="trunc">{typeof name === 'string' ? name : server.name}</h1>
      <span className="chip wait">{server.version > 0 ? (unpublished ? t('draft.of', { number: server.version }) : t('draft.same', { number: server.version })) : t('draft.never')}</span>
      <Kept keeping={keeping} server={server.draft !== null} />
      <div className="acts">
        <button type="button" className="iconbtn" aria-label={t('undo')} disabled={!canUndo} onClick={editor.undo}>
          <Icon name="undo" />
        </button>
        <button type="button" className="iconbtn" aria-label={t('redo')} disabled={!canRedo} onClick={editor.redo}>
          <Icon name="redo" />
        </button>
        <button type="button" className="btn lg changes" disabled={errors.length > 0} onClick={() => publishing.ask('changes')}>
          <Icon name="diff" />
          {t('changes.open')}
        </button>
        {may('runs:write') && may('flows:write') && (
          <button type="button" className="btn lg go" aria-disabled={busy} onClick={() => (errors.length > 0 ? toFirst() : !busy && void publishing.runDraft())}>
            <Icon name="play" />
            {t('draft.run')}
          </button>
        )}
        {may('flows:write') && (
          <button type="button" className="btn lg primary" disabled={errors.length > 0 || busy || !unpublished} onClick={() => publishing.ask('publish')}>
            {errors.length > 0 ? t('publish.mend', { count: errors.length }) : t('publish.open')}
          </button>
        )}
      </div>
    </div>
  );
}

function Kept({ keeping, server }: { keeping: Keeping; server: boolean }) {
  const { t } = useTranslation('editor');
  const now = useSecond();
  const { keptAt } = keeping;
  const words = keptAt === null ? (server ? t('draft.on_server') : '') : t('draft.kept', { when: relative(keptAt, Math.max(now, keptAt)) });
  return <span className="muted kept">{words}</span>;
}
