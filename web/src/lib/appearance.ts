import { useSyncExternalStore } from 'react';

export type Theme = 'light' | 'dark';
export type Density = 'comfortable' | 'compact';

const KEPT = 'monjolo.appearance'; // read by before-paint.js too
const listeners = new Set<() => void>();
const root = document.documentElement;

export const themeNow = (): Theme => (root.dataset.theme === 'dark' ? 'dark' : 'light');
export const densityNow = (): Density => (root.dataset.density === 'compact' ? 'compact' : 'comfortable');

export function setTheme(theme: Theme): void {
  root.dataset.theme = theme;
  keep({ theme });
}

export function setDensity(density: Density): void {
  if (density === 'compact') root.dataset.density = 'compact';
  else delete root.dataset.density;
  keep({ density });
}

function keep(choice: { theme?: Theme; density?: Density }): void {
  try {
    const kept: object = JSON.parse(localStorage.getItem(KEPT) ?? '{}');
    localStorage.setItem(KEPT, JSON.stringify({ ...kept, ...choice }));
  } catch {
    // storage may be switched off; the choice then lasts as long as the page
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, themeNow);
export const useDensity = (): Density => useSyncExternalStore(subscribe, densityNow);
