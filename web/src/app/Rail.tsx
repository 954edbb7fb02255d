import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { Logo } from '@/components/ui/Logo';

import { NAV } from './nav';
import { Trough } from './Trough';

interface Props {
  slim: boolean;
  /** On narrow screens the rail is a drawer. */
  open: boolean;
  onClose: () => void;
}

export function Rail({ slim, open, onClose }: Props) {
  const { t } = useTranslation();
  const own = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    own.current?.querySelector<HTMLElement>('.nav a')?.focus();
    const pressed = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') onClose();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, [open, onClose]);
  return (
    <>
      {open && <button type="button" className="veil" aria-label={t('nav.close_menu')} onClick={onClose} />}
      <nav ref={own} className={['rail', slim && 'slim', open && 'open'].filter(Boolean).join(' ')} aria-label={t('nav.main')}>
        <Link to="/" className="mark" aria-label="Monjolo">
          <Logo />
          <span className="lb">monjolo</span>
        </Link>
        <div className="nav">
          {NAV.map((item) => (
            <Link key={item.to} to={item.to} activeOptions={{ exact: item.to === '/', includeSearch: false }} title={t(item.label)} onClick={onClose}>
              <Icon name={item.icon} />
              <span className="lb">{t(item.label)}</span>
            </Link>
          ))}
        </div>
        {!slim && <Trough />}
      </nav>
    </>
  );
}
