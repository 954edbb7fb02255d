import { useBlocker, useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Skeleton } from '@/components/ui/Panel';
import { useKeys } from '@/lib/keys';

import type { Stored } from './api';
import { CodePane } from './code/CodePane';
import { useCompletion } from './code/completion';
import { textEditor } from './code/text-editor';
import type { Draft } from './drafts';
import { StepPane } from './form/StepPane';
import { Head } from './Head';
import { Notices } from './Notices';
import { readTree } from './document/tree';
import { named, pictureOf, type Picture } from './picture';
import { TestPane } from './TestPane';
import { useDraft } from './useDraft';
import { usePublishing } from './usePublishing';
import { editWith, useFaults, useReading } from './useText';

const GraphPane = lazy(async () => ({ default: (await import('./graph/GraphPane')).GraphPane }));

interface Props {
  draftKey: string;
  slug: string | null;
  stored: Stored;
  kept: Draft | null;
}

export const PANES = ['graph', 'form', 'yaml', 'test'] as const;
export type PaneName = (typeof PANES)[number];

/** One text, and panes that show it: each writes only by editing the text. */
export function Workspace({ draftKey, slug, stored, kept }: Props) {
  const { t } = useTranslation('editor');
  const complete = useCompletion();
  const [editor] = useState(() => textEditor(kept?.source ?? stored.source, complete.source));
  useEffect(() => () => editor.destroy(), [editor]);
  const { picture, broken, selected } = useReading(editor);
  useEffect(() => complete.see(picture, selected), [complete, picture, selected]);
  const { faults, setFaults } = useFaults(editor, broken);
  const publishing = usePublishing({ editor, slug, stored, kept, setFaults });
  const keeping = useDraft(editor, draftKey, publishing.base, kept?.at ?? null);
  useGuard(keeping);
  const edit = useMemo(() => editWith(editor), [editor]);
  const choose = useMemo(
    () => (key: string | null, focus?: boolean) => {
      const present = presentOf(editor.snapshot().text, picture);
      const place = present && named(present, key);
      editor.select(place ? place.from + present.text.slice(place.from).search(/\S/) : 0, focus);
    },
    [editor, picture],
  );
  useSelectionInAddress(selected, choose);
  const [pane, setPane] = useState<PaneName>('form');
  const workspace = useRef<HTMLDivElement>(null);
  const show = (name: PaneName): void => {
    setPane(name);
    const target = workspace.current?.querySelector<HTMLElement>(`.pane-${name}`);
    if (name === 'yaml') requestAnimationFrame(() => editor.focus());
    else requestAnimationFrame(() => target?.focus({ preventScroll: true }));
  };
  useKeys({
    'Ctrl+S': () => void publishing.saveDraft(keeping.keep),
    'Ctrl+Shift+Enter': () => void publishing.runDraft(),
    'Ctrl+Enter': () => workspace.current?.querySelector<HTMLElement>('[data-act="test"]')?.click(),
  });
  useAltKeys({ 1: () => show('graph'), 2: () => show('form'), 3: () => show('yaml') });
  const stale = broken !== null;
  const props = { picture, faults, selected, stale, edit, choose };
  return (
    <div className="workspace" ref={workspace} data-pane={pane}>
      <Head editor={editor} publishing={publishing} keeping={keeping} faults={faults} picture={picture} />
      <Notices publishing={publishing} keeping={keeping} editor={editor} />
      <div className="tabs pane-tabs" role="group" aria-label={t('pane.label')}>
        {PANES.map((name) => (
          <button key={name} type="button" aria-pressed={pane === name} aria-current={pane === name || undefined} onClick={() => show(name)}>
            {t(`pane.${name}`)}
          </button>
        ))}
      </div>
      <div className="three">
        <Suspense fallback={<section className="pane pane-graph"><Skeleton rows={4} height={54} /></section>}>
          <GraphPane {...props} />
        </Suspense>
        <StepPane {...props} broken={broken} />
        <CodePane editor={editor} faults={faults} />
      </div>
      <TestPane picture={picture} selected={selected} />
      {publishing.dialogs}
    </div>
  );
}

/** The picture may be of the text before the last edit. */
function presentOf(text: string, picture: Picture | null): Picture | null {
  if (picture?.text === text) return picture;
  const { tree } = readTree(text);
  return tree ? pictureOf(tree) : null;
}

/** Nobody leaves with a text that is kept nowhere. */
function useGuard({ refused, keep }: { refused: boolean; keep: () => Promise<void> }): void {
  const { t } = useTranslation('editor');
  useBlocker({
    shouldBlockFn: async ({ current, next }) => {
      if (current.pathname === next.pathname) return false;
      await keep();
      // oxlint-disable-next-line no-alert -- the page cannot be left before there is an answer
      return refused && !window.confirm(t('guard'));
    },
    enableBeforeUnload: () => refused,
  });
}

function useSelectionInAddress(selected: string | null, choose: (key: string | null) => void): void {
  const navigate = useNavigate();
  const { step } = useSearch({ strict: false }) as { step?: string };
  const asked = useRef(step);
  useEffect(() => {
    if (asked.current !== undefined) choose(asked.current);
    // oxlint-disable-next-line react/exhaustive-deps -- only what the address said on arrival
  }, []);
  useEffect(() => {
    if (asked.current !== undefined && selected === null) return;
    asked.current = undefined;
    const next = selected ?? undefined;
    if (next !== step) void navigate({ to: '.', search: { step: next } as never, replace: true, resetScroll: false });
  }, [selected, step, navigate]);
}

/** They work while somebody types, too: Alt with a digit writes nothing. */
function useAltKeys(acts: Record<string, () => void>): void {
  const kept = useRef(acts);
  useEffect(() => {
    kept.current = acts;
  });
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const digit = /^Digit(\d)$/.exec(event.code)?.[1];
      const act = event.altKey && !event.ctrlKey && digit ? kept.current[digit] : undefined;
      if (!act || document.querySelector('dialog[open]')) return;
      event.preventDefault();
      act();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, []);
}
