import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError, type Fault } from '@/api/client';
import { notify } from '@/components/ui/toasts';
import { link } from '@/lib/links';

import { createFlow, runVersion, saveFlow, stored as readStored, type Stored } from './api';
import type { TextEditor } from './code/text-editor';
import { readTree } from './document/tree';
import type { Draft } from './drafts';
import { ChangesDialog, ConflictDialog, PublishDialog, RunDraftDialog } from './dialogs';
import { pictureOf, isMapping } from './picture';

interface Given {
  editor: TextEditor;
  slug: string | null;
  stored: Stored;
  kept: Draft | null;
  setFaults: (faults: Fault[]) => void;
}

export interface Publishing {
  slug: string | null;
  /** The text that the server has, and the revision that ours began from. */
  base: { source: string; revision: number };
  server: Stored;
  /** Somebody else's change that came after ours began. */
  behind: boolean;
  busy: boolean;
  ask: (what: 'publish' | 'changes') => void;
  runDraft: () => Promise<void>;
  saveDraft: (keep: () => Promise<void>) => Promise<void>;
  takeTheirs: () => void;
  dialogs: ReactNode;
}

type Asked = 'publish' | 'changes' | 'run' | 'conflict' | null;

/** What leaves the editor: a draft, a run of it, a version. Nothing is sent over a change of somebody else. */
export function usePublishing({ editor, slug, stored, kept, setFaults }: Given): Publishing {
  const { t } = useTranslation('editor');
  const client = useQueryClient();
  const navigate = useNavigate();
  const [server, setServer] = useState(stored);
  const [base, setBase] = useState({ source: stored.source, revision: kept?.revision ?? stored.revision });
  const [asked, setAsked] = useState<Asked>(null);
  const [busy, setBusy] = useState(false);
  const [again, setAgain] = useState<{ draft: boolean; message?: string | undefined }>({ draft: false });

  async function guarded<T>(act: () => Promise<T>): Promise<T | undefined> {
    setBusy(true);
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 422 && error.errors.length > 0) {
        setFaults(error.errors);
        setAsked(null);
      }
      if (error.status === 412 && slug !== null) {
        setServer(await readStored(slug));
        setAsked('conflict');
      } else notify(error.code === 'flow_exists' ? t('publish.exists') : error.detail, { bad: true });
      return undefined;
    } finally {
      setBusy(false);
    }
  }

  async function send(draft: boolean, message?: string, revision = base.revision): Promise<{ slug: string; number: number } | undefined> {
    const source = editor.source();
    setAgain({ draft, message });
    const saved = await guarded(() =>
      slug === null ? createFlow({ source, draft, message }) : saveFlow(slug, revision, { source, draft, message }),
    );
    if (!saved) return undefined;
    const published = draft ? server.published : source;
    setServer({ ...server, source, published, version: saved.version, draft: saved.draft, revision: saved.revision, name: saved.name });
    setBase({ source, revision: saved.revision });
    for (const key of ['flow', 'flow-rows', 'flow-versions', 'flow-edit', 'dashboard']) void client.invalidateQueries({ queryKey: [key], refetchType: 'none' });
    return { slug: saved.slug, number: saved.published };
  }

  async function publish(message?: string, revision?: number): Promise<void> {
    const done = await send(false, message, revision);
    if (!done) return;
    setAsked(null);
    notify(t('publish.done', { number: done.number }));
    await settle();
    await navigate({ to: link.flow(done.slug) });
  }

  async function runDraft(inputs?: Record<string, unknown>): Promise<void> {
    if (inputs === undefined && needsInputs(editor)) {
      setAsked('run');
      return;
    }
    const saved = await send(true);
    if (!saved) return;
    const run = await guarded(() => runVersion(saved.slug, saved.number, inputs ?? {}));
    setAsked(null);
    await settle();
    if (run) await navigate({ to: link.run(run.id) });
    else if (slug === null) await navigate({ to: link.edit(saved.slug), replace: true });
  }

  async function saveDraft(keep: () => Promise<void>): Promise<void> {
    await keep();
    const saved = await send(true);
    if (!saved) return;
    notify(t('draft.saved', { number: saved.number }));
    await settle();
    if (slug === null) await navigate({ to: link.edit(saved.slug), replace: true });
  }

  const takeTheirs = (): void => {
    editor.apply(server.source.replaceAll('\r\n', '\n'));
    setBase({ source: server.source, revision: server.revision });
    setAsked(null);
  };
  const close = (): void => setAsked(null);
  const next = server.version + 1;
  const dialogs = (
    <>
      {asked === 'publish' && <PublishDialog number={next} busy={busy} onClose={close} onPublish={(message) => void publish(message)} />}
      {asked === 'changes' && <ChangesDialog source={editor.source()} onClose={close} />}
      {asked === 'run' && <RunDraftDialog document={documentOf(editor)} onClose={close} onRun={(inputs) => void runDraft(inputs)} />}
      {asked === 'conflict' && (
        <ConflictDialog
          source={editor.source()}
          number={server.version}
          draft={again.draft}
          busy={busy}
          onClose={close}
          onTheirs={takeTheirs}
          onMine={() => (again.draft ? void send(true, undefined, server.revision).then(close) : void publish(again.message, server.revision))}
        />
      )}
    </>
  );
  const behind = base.revision !== server.revision;
  return { slug, base, server, behind, busy, ask: setAsked, runDraft: () => runDraft(), saveDraft, takeTheirs, dialogs };
}

/** React shows what was saved before the page is left, so that the guard sees it too. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

function documentOf(editor: TextEditor): Record<string, unknown> {
  const { tree } = readTree(editor.snapshot().text);
  return tree ? pictureOf(tree).flow : {};
}

function needsInputs(editor: TextEditor): boolean {
  const { inputs } = documentOf(editor);
  return isMapping(inputs) && isMapping(inputs.properties) && Object.keys(inputs.properties).length > 0;
}
