import { useDeferredValue, useEffect, useMemo, useState, useSyncExternalStore } from 'react';

import { type ApiError, type Fault } from '@/api/client';
import { notify } from '@/components/ui/toasts';

import { validate } from './api';
import type { Snapshot, TextEditor } from './code/text-editor';
import { CannotEdit } from './document/edit';
import { readTree, type Problem } from './document/tree';
import { named, pictureOf, placeOf, type Picture } from './picture';

const PAUSE_MS = 200; // of typing, before the platform is asked what it thinks of the text

export const useSnapshot = (editor: TextEditor): Snapshot => useSyncExternalStore(editor.subscribe, editor.snapshot);

export interface Reading {
  /** Of the last text that could be read; null when none could be yet. */
  picture: Picture | null;
  /** Why the present text cannot be read. */
  broken: Problem | null;
  selected: string | null;
}

/** Reads the text after each change; what cannot be read leaves the last picture as it was. */
export function useReading(editor: TextEditor): Reading {
  const { text, caret } = useSnapshot(editor);
  const calm = useDeferredValue(text);
  const reading = useMemo(() => readTree(calm), [calm]);
  const read = useMemo(() => (reading.tree ? pictureOf(reading.tree) : null), [reading]);
  const [picture, setPicture] = useState(read);
  if (read && read !== picture) setPicture(read);
  const [selected, setSelected] = useState<string | null>(null);
  const now = read && calm === text ? placeOf(read, caret) : selected;
  if (now !== selected) setSelected(now);
  const shown = read ?? picture;
  useEffect(() => {
    const place = shown && shown.text === text ? named(shown, now) : undefined;
    if (shown?.text === text) editor.mark(place ?? null);
  }, [editor, shown, now, text]);
  return { picture: shown, broken: reading.problem, selected: now };
}

/** What is wrong with the text: at once what makes it unreadable, the rest when the platform has looked. */
export function useFaults(editor: TextEditor, broken: Problem | null): { faults: Fault[]; setFaults: (faults: Fault[]) => void } {
  const { text } = useSnapshot(editor);
  const [faults, setFaults] = useState<Fault[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      validate(text, stop.signal).then(setFaults, (error: ApiError) => {
        if (error.status === 413 || error.status === 422) setFaults([{ path: '', line: 1, column: 1, severity: 'error', code: error.code, message: error.detail }]);
      });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text]);
  const shown = useMemo(
    () => (broken ? [{ path: '', severity: 'error', ...broken } satisfies Fault] : faults),
    [broken, faults],
  );
  useEffect(() => editor.tell(shown), [editor, shown]);
  return { faults: shown, setFaults };
}

export type Edit = (change: (text: string) => string) => boolean;

/** Does an edit of the text, or says why it cannot be done. */
export function editWith(editor: TextEditor): Edit {
  return (change) => {
    try {
      editor.apply(change(editor.snapshot().text));
      return true;
    } catch (error) {
      if (!(error instanceof CannotEdit)) throw error;
      notify(error.message, { bad: true });
      return false;
    }
  };
}
