import { createContext, useContext } from 'react';

export interface Crumb {
  label: string;
  to?: string;
}

/** What a page tells the frame around it. */
export interface PageFrame {
  crumbs: Crumb[];
  /** Workspace screens keep the rail to its icons. */
  slim: boolean;
}

export const ShellContext = createContext<(frame: PageFrame) => void>(() => undefined);

export const useShell = (): ((frame: PageFrame) => void) => useContext(ShellContext);
