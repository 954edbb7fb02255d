import { useEffect, useRef, type ReactNode } from 'react';

import { useShell, type Crumb } from './shell-context';

interface Props {
  /** Of the window, and the last crumb. */
  title: string;
  /** What stands before the title in the top bar. */
  crumbs?: Crumb[];
  slim?: boolean;
  className?: string;
  children: ReactNode;
}

const NO_CRUMBS: Crumb[] = [];
let first = true;

/** The frame of every page: its title, its crumbs, and the focus on its `h1` after a change of route. */
export function Page({ title, crumbs = NO_CRUMBS, slim = false, className, children }: Props) {
  const tell = useShell();
  const main = useRef<HTMLElement>(null);
  const path = JSON.stringify(crumbs);
  useEffect(() => {
    document.title = `${title} · Monjolo`;
    tell({ crumbs: [...(JSON.parse(path) as Crumb[]), { label: title }], slim });
  }, [title, path, slim, tell]);
  const arrived = useRef(false);
  useEffect(() => {
    const heading = main.current?.querySelector('h1');
    // On arrival, and again when what stood for the page while it loaded gave way and took the focus with it.
    if (!first && heading && (!arrived.current || document.activeElement === document.body)) {
      heading.setAttribute('tabindex', '-1');
      heading.focus({ preventScroll: true });
    }
    first = false;
    arrived.current = true;
    // oxlint-disable-next-line react/exhaustive-deps, react/exhaustive-effect-dependencies -- a title comes with a page
  }, [title]);
  return (
    <main className={['page', className].filter(Boolean).join(' ')} id="content" ref={main} tabIndex={-1}>
      {children}
    </main>
  );
}
