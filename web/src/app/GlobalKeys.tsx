import { useNavigate } from '@tanstack/react-router';
import { useEffect } from 'react';

import { rememberPrefix, useKeys } from '@/lib/keys';
import { openPalette, show, useOverlay } from '@/lib/overlays';

import { NAV } from './nav';
import { Palette } from './Palette';
import { Shortcuts } from './Shortcuts';

/** Keys that work everywhere, and what they open. */
export function GlobalKeys() {
  const navigate = useNavigate();
  const overlay = useOverlay();
  const going = NAV.map((item) => [`g ${item.key}`, () => void navigate({ to: item.to })] as const);
  useKeys({
    'Ctrl+K': () => openPalette('all'),
    '?': () => show('shortcuts'),
    '/': () => document.querySelector<HTMLElement>('[data-page-filter]')?.focus(),
    ...Object.fromEntries(going),
  });
  useEffect(() => {
    document.addEventListener('keydown', rememberPrefix);
    return () => document.removeEventListener('keydown', rememberPrefix);
  }, []);
  if (overlay === 'shortcuts') return <Shortcuts onClose={() => show(null)} />;
  if (overlay === null) return null;
  return <Palette flowsOnly={overlay === 'palette-flows'} onClose={() => show(null)} />;
}
