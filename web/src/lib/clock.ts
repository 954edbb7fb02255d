import { useSyncExternalStore } from 'react';

/** One clock for the page: it ticks once a second, or once a minute, for whoever shows a relative time. */
function ticker(ms: number): () => number {
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | null = null;
  const listeners = new Set<() => void>();
  const subscribe = (listener: () => void): (() => void) => {
    listeners.add(listener);
    timer ??= setInterval(() => {
      if (document.hidden) return;
      now = Date.now();
      for (const each of listeners) each();
    }, ms);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && timer !== null) {
        clearInterval(timer);
        timer = null;
      }
    };
  };
  // A component that mounts later than the last tick still sees a time of this second or minute.
  const read = (): number => {
    if (Date.now() - now >= ms) now = Date.now();
    return now;
  };
  return () => useSyncExternalStore(subscribe, read);
}

export const useSecond = ticker(1_000);
export const useMinute = ticker(60_000);
