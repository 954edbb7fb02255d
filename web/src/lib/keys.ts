import { useEffect, useRef } from 'react';

type Bindings = Record<string, (event: KeyboardEvent) => void>;

const SEQUENCE_MS = 1_200;
let prefix = '';
let prefixAt = 0;

/** `Ctrl+K`, `?`, `/`, `Shift+E`, `g p`: as the overlay of shortcuts writes them. */
export function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key : event.key;
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push('Ctrl');
  if (event.altKey) parts.push('Alt');
  if (event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key))) parts.push('Shift');
  parts.push(parts.length > 0 && key.length === 1 ? key.toUpperCase() : key);
  return parts.join('+');
}

function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  return Boolean(target?.closest('input, textarea, select, [contenteditable="true"], .cm-editor'));
}

/**
 * Shortcuts while the component is shown. Keys without Ctrl never fire where somebody types or in an open dialog.
 */
export function useKeys(bindings: Bindings, enabled = true): void {
  const kept = useRef(bindings);
  useEffect(() => {
    kept.current = bindings;
  });
  useEffect(() => {
    if (!enabled) return undefined;
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.isComposing) return;
      const name = nameOf(event);
      const withControl = name.startsWith('Ctrl+');
      if (!withControl && (typing(event) || document.querySelector('dialog[open]'))) return;
      const recent = event.timeStamp - prefixAt < SEQUENCE_MS ? prefix : '';
      const act = (recent && kept.current[`${recent} ${name}`]) || kept.current[name];
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, [enabled]);
}

/** Remembers the first key of a sequence; called once, by the shell, after all bindings had their turn. */
export function rememberPrefix(event: KeyboardEvent): void {
  if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  prefix = event.key === 'g' ? 'g' : '';
  prefixAt = event.timeStamp;
}
