import { Link } from '@tanstack/react-router';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import type { Crumb } from '@/components/layout/shell-context';
import { Icon } from '@/components/ui/Icon';
import { setTheme, useTheme } from '@/lib/appearance';

import { AccountMenu } from './AccountMenu';
import { openPalette } from '@/lib/overlays';
import { LiveMark } from './LiveMark';

export function TopBar({ crumbs, onMenu }: { crumbs: Crumb[]; onMenu: () => void }) {
  const { t } = useTranslation();
  const theme = useTheme();
  return (
    <header className="top">
      <button type="button" className="iconbtn menu" aria-label={t('nav.open_menu')} onClick={onMenu}>
        <Icon name="menu" />
      </button>
      <div className="crumbs">
        {crumbs.map((crumb, place) => (
          <Fragment key={crumb.label}>
            {place > 0 && <i aria-hidden="true">/</i>}
            {crumb.to ? <Link to={crumb.to}>{crumb.label}</Link> : <b>{crumb.label}</b>}
          </Fragment>
        ))}
      </div>
      <button type="button" className="find" onClick={() => openPalette('all')}>
        <Icon name="search" small />
        <span className="grow trunc">{t('palette.open')}</span>
        <kbd aria-hidden="true">Ctrl K</kbd>
      </button>
      <LiveMark />
      <button
        type="button"
        className="iconbtn"
        aria-label={t(theme === 'dark' ? 'theme.to_light' : 'theme.to_dark')}
        onClick={() => setTheme(theme === 'dark' ? 'light' : 'dark')}
      >
        <Icon name={theme === 'dark' ? 'sun' : 'moon'} />
      </button>
      <AccountMenu />
    </header>
  );
}
