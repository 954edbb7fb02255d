import { Outlet } from '@tanstack/react-router';
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ShellContext, type PageFrame } from '@/components/layout/shell-context';

import { ExpiredSession } from './ExpiredSession';
import { GlobalKeys } from './GlobalKeys';
import { OfflineBanner } from './OfflineBanner';
import { Rail } from './Rail';
import { TopBar } from './TopBar';

/** The frame of every page: rail, top bar, and what stands over the page. */
export function Shell() {
  const { t } = useTranslation();
  const [frame, setFrame] = useState<PageFrame>({ crumbs: [], slim: false });
  const [drawer, setDrawer] = useState(false);
  const tell = useCallback((next: PageFrame) => {
    setFrame(next);
    setDrawer(false);
  }, []);
  return (
    <ShellContext value={tell}>
      <a className="skip" href="#content">
        {t('nav.skip')}
      </a>
      <div className={frame.slim ? 'shell slim' : 'shell'}>
        <Rail slim={frame.slim} open={drawer} onClose={() => setDrawer(false)} />
        <div className="main">
          <TopBar crumbs={frame.crumbs} onMenu={() => setDrawer(true)} />
          <OfflineBanner />
          <Outlet />
        </div>
      </div>
      <GlobalKeys />
      <ExpiredSession />
    </ShellContext>
  );
}
