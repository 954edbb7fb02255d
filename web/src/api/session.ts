/** Who is signed in, as far as requests need to know: the CSRF token, and whether the session has run out. */

type Listener = () => void;

let csrfToken: string | null = null;
let isKnown = false;
let waiting: Array<() => void> = [];
let expired = false;
const listeners = new Set<Listener>();

function tell(): void {
  for (const listener of listeners) listener();
}

export const session = {
  csrf: (): string | null => csrfToken,
  known: (): boolean => isKnown,
  /** True while requests wait for the person to sign in again. */
  isExpired: (): boolean => expired,
  subscribe(listener: Listener): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  /** After a sign-in, or when the page learns that its cookie still holds. */
  begin(csrf: string | null): void {
    csrfToken = csrf;
    isKnown = true;
    expired = false;
    const resumed = waiting;
    waiting = [];
    for (const resume of resumed) resume();
    tell();
  },
  end(): void {
    csrfToken = null;
    isKnown = false;
    expired = false;
    waiting = [];
    tell();
  },
  /** Resolves when the person has signed in again. */
  renewed(): Promise<void> {
    expired = true;
    tell();
    return new Promise((resolve) => waiting.push(resolve));
  },
};
