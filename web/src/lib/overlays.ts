import { useSyncExternalStore } from 'react';

/** What stands over the page: the palette (limited to flows or not) or the overlay of shortcuts. */
export type Overlay = 'palette' | 'palette-flows' | 'shortcuts' | null;

let shown: Overlay = null;
const listeners = new Set<() => void>();

export function show(overlay: Overlay): void {
  shown = overlay;
  for (const listener of listeners) listener();
}

export const openPalette = (over: 'all' | 'flows'): void => show(over === 'all' ? 'palette' : 'palette-flows');

export const useOverlay = (): Overlay =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
