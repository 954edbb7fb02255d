import { useEffect, useRef } from 'react';

/** Calls `act` soon after the first wish and then at most once in `gap` ms; nothing while nobody looks at the page. */
export function useThrottled(act: () => void, gap: number, soon = 120): () => void {
  const kept = useRef({ act, timer: null as ReturnType<typeof setTimeout> | null, last: 0, missed: false });
  useEffect(() => {
    kept.current.act = act;
  });
  useEffect(() => {
    const state = kept.current;
    const seen = (): void => {
      if (!document.hidden && state.missed) {
        state.missed = false;
        state.act();
      }
    };
    document.addEventListener('visibilitychange', seen);
    return () => {
      document.removeEventListener('visibilitychange', seen);
      if (state.timer !== null) clearTimeout(state.timer);
      state.timer = null;
    };
  }, []);
  return () => {
    const state = kept.current;
    if (document.hidden) {
      state.missed = true;
      return;
    }
    if (state.timer !== null) return;
    const wait = Math.max(soon, state.last + gap - Date.now());
    state.timer = setTimeout(() => {
      state.timer = null;
      state.last = Date.now();
      state.act();
    }, wait);
  };
}
