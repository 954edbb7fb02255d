import { useCallback, useEffect, useRef, useState } from 'react';

import { drafts } from './drafts';
import { useSnapshot } from './useText';
import type { TextEditor } from './code/text-editor';

const EVERY_MS = 400; // what a crash of the tab may cost

export interface Keeping {
  /** When the present text was last kept; null when it is what the server has. */
  keptAt: number | null;
  /** This browser keeps nothing: who leaves loses the text. */
  refused: boolean;
  keep: () => Promise<void>;
}

/** Keeps the text in this browser while it differs from what the server has. */
export function useDraft(editor: TextEditor, key: string, base: { source: string; revision: number }, since: number | null): Keeping {
  const { text } = useSnapshot(editor);
  const [keptAt, setKeptAt] = useState(since);
  const [refused, setRefused] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const keep = useCallback(async (): Promise<void> => {
    clearTimeout(timer.current);
    timer.current = undefined;
    const source = editor.source();
    try {
      if (source === base.source) {
        await drafts.drop(key);
        setKeptAt(null);
      } else {
        const at = Date.now();
        await drafts.put(key, { source, revision: base.revision, at });
        setKeptAt(at);
      }
      setRefused(false);
    } catch {
      setRefused(true);
    }
  }, [editor, key, base]);
  const first = useRef(true);
  // A change of the text, or of what it is compared with, is what makes it worth keeping.
  // oxlint-disable react/exhaustive-effect-dependencies
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    timer.current ??= setTimeout(() => void keep(), EVERY_MS);
  }, [text, base, keep]);
  // oxlint-enable react/exhaustive-effect-dependencies
  useEffect(() => {
    const hidden = (): void => {
      if (document.hidden && timer.current !== undefined) void keep();
    };
    document.addEventListener('visibilitychange', hidden);
    return () => {
      document.removeEventListener('visibilitychange', hidden);
      if (timer.current !== undefined) void keep(); // the page is left within the last moment
    };
  }, [keep]);
  return { keptAt, refused, keep };
}
