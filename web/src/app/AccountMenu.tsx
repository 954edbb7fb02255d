import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { meQuery } from '@/api/queries';
import { Icon } from '@/components/ui/Icon';
import { signOut } from '@/features/auth/api';
import { speak } from '@/i18n';
import { keepLanguage, LANGUAGES } from '@/i18n/languages';
import { setDensity, useDensity } from '@/lib/appearance';
import { show } from '@/lib/overlays';

const initials = (name: string): string =>
  name
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => word[0])
    .filter((_, place, all) => place === 0 || place === all.length - 1)
    .join('')
    .toUpperCase();

export function AccountMenu() {
  const { t, i18n } = useTranslation(['common', 'auth']);
  const [open, setOpen] = useState(false);
  const own = useRef<HTMLDivElement>(null);
  const density = useDensity();
  const { data: me } = useQuery(meQuery);
  const name = me?.user?.name ?? '';
  useEffect(() => {
    if (!open) return undefined;
    const away = (event: Event): void => {
      if (event instanceof KeyboardEvent ? event.key === 'Escape' : !own.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('keydown', away);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('keydown', away);
    };
  }, [open]);
  return (
    <div className="account" ref={own}>
      <button type="button" className="ava" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="sr">{`${t('account.menu')}: ${name}`}</span>
        <span aria-hidden="true">{initials(name) || <Icon name="user" small />}</span>
      </button>
      {open && (
        <div className="popover">
          <p>
            <b>{name}</b>
            <small className="muted">{me?.user?.email}</small>
          </p>
          <fieldset className="seg" aria-label={t('account.language')}>
            {LANGUAGES.map((language) => (
              <button
                key={language}
                type="button"
                lang={language}
                aria-pressed={i18n.language === language}
                onClick={() => {
                  keepLanguage(language);
                  void speak(language);
                }}
              >
                {t(`auth:language.${language}`)}
              </button>
            ))}
          </fieldset>
          <label className="check">
            <input
              type="checkbox"
              checked={density === 'compact'}
              onChange={(event) => setDensity(event.target.checked ? 'compact' : 'comfortable')}
            />
            {t('account.density')}
          </label>
          <button
            type="button"
            className="btn quiet"
            onClick={() => {
              setOpen(false);
              show('shortcuts');
            }}
          >
            <Icon name="keyboard" small />
            {t('shortcuts.title')}
          </button>
          <button type="button" className="btn quiet" onClick={() => void signOut()}>
            <Icon name="expand" small />
            {t('account.sign_out')}
          </button>
        </div>
      )}
    </div>
  );
}
