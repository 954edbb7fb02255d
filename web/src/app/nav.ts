import type { IconName } from '@/components/ui/icons';

interface Destination {
  to: string;
  icon: IconName;
  label: 'nav.dashboard' | 'nav.flows' | 'nav.runs' | 'nav.logs';
  /** The second key after `g`. */
  key: string;
}

/** The rail: only what is built. A section that does not exist yet has no entry. */
export const NAV: Destination[] = [
  { to: '/', icon: 'home', label: 'nav.dashboard', key: 'p' },
  { to: '/flows', icon: 'flow', label: 'nav.flows', key: 'f' },
  { to: '/runs', icon: 'runs', label: 'nav.runs', key: 'e' },
  { to: '/logs', icon: 'logs', label: 'nav.logs', key: 'l' },
];
