const KEPT = 'monjolo.recent';
const MOST = 20;

/** What the palette opened last, the newest first. */
export function recent(): string[] {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? '[]') as string[];
  } catch {
    return [];
  }
}

export function remember(id: string): void {
  try {
    localStorage.setItem(KEPT, JSON.stringify([id, ...recent().filter((each) => each !== id)].slice(0, MOST)));
  } catch {
    // storage may be switched off: nothing is remembered
  }
}
