import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';

import type { LogLine } from '@/api/runs';
import { useLive } from '@/lib/live';

import type { LogOf } from '../api';
import { LogStore, type Shown } from './log-store';

const FLUSH_MS = 250;
const SEARCH_MS = 150;

export interface Log {
  store: LogStore;
  shown: Shown;
}

/** The log's store for as long as it is the one that is shown; live lines come in four times a second. */
export function useLog(of: LogOf, live: boolean, query: string, level: string | undefined): Log {
  const { run, step, attempt } = of;
  const store = useMemo(() => new LogStore({ run, step, attempt }), [run, step, attempt]);
  const shown = useSyncExternalStore(store.subscribe, store.now);
  useEffect(() => {
    store.open();
    void store.load();
    return () => store.close();
  }, [store]);
  useLines(store, run, live);
  useEffect(() => {
    const timer = setTimeout(() => void store.search(query, level), query ? SEARCH_MS : 0);
    return () => clearTimeout(timer);
  }, [store, query, level]);
  return { store, shown };
}

function useLines(store: LogStore, run: string, live: boolean): void {
  const waiting = useRef<LogLine[]>([]);
  const [topics] = useState(() => [`run:${run}`]);
  useLive(
    topics,
    (event) => {
      if (event.kind === 'log') waiting.current.push(...((event.data as { lines: LogLine[] }).lines ?? []));
      if (event.kind === 'run.finished') setTimeout(() => void store.load(), FLUSH_MS * 2);
    },
    () => void store.load(),
  );
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => {
      if (waiting.current.length > 0) store.append(waiting.current.splice(0));
    }, FLUSH_MS);
    return () => clearInterval(timer);
  }, [store, live]);
}
