import { useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from './Icon';

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  undo?: (() => void) | undefined;
}

const SHOWN_MS = 6_000;
let toasts: Toast[] = [];
let count = 0;
const listeners = new Set<() => void>();

function set(next: Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

const dismiss = (id: number): void => set(toasts.filter((toast) => toast.id !== id));

/** A short note at the foot of the page for six seconds; `undo` takes back what was just done. */
export function notify(text: string, options: { bad?: boolean; undo?: () => void } = {}): void {
  count += 1;
  const id = count;
  set([...toasts.slice(-2), { id, text, bad: options.bad ?? false, undo: options.undo }]);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function Toasts() {
  const { t } = useTranslation();
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={toast.bad ? 'toast bad' : 'toast'}>
          <span>{toast.text}</span>
          {toast.undo && (
            <button
              type="button"
              className="btn sm"
              onClick={() => {
                toast.undo?.();
                dismiss(toast.id);
              }}
            >
              {t('action.undo')}
            </button>
          )}
          <button type="button" className="iconbtn" aria-label={t('action.close')} onClick={() => dismiss(toast.id)}>
            <Icon name="x" small />
          </button>
        </div>
      ))}
    </div>
  );
}
