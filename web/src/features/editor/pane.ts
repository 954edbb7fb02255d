import type { Fault } from '@/api/client';

import type { Picture } from './picture';
import type { Edit } from './useText';

/** What the graph and the form are given. */
export interface PaneProps {
  picture: Picture | null;
  faults: Fault[];
  selected: string | null;
  /** The present text cannot be read: the last picture stands, and nothing is edited. */
  stale: boolean;
  edit: Edit;
  choose: (key: string | null, focus?: boolean) => void;
}
