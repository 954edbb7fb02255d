import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { Page } from '@/components/layout/Page';
import { Logo } from '@/components/ui/Logo';
import { speak } from '@/i18n';
import { keepLanguage, LANGUAGES, type Language } from '@/i18n/languages';

/** The pages without a frame: the mark, one card, and the choice of language in sight. */
export function AuthFrame({ title, children }: { title: string; children: ReactNode }) {
  const { t, i18n } = useTranslation(['common', 'auth']);
  return (
    <Page title={title} className="auth">
      <div className="auth-head">
        <span className="mark">
          <Logo />
          monjolo
        </span>
        <select
          className="input"
          aria-label={t('account.language')}
          value={i18n.language}
          onChange={(event) => {
            const language = event.target.value as Language;
            keepLanguage(language);
            void speak(language);
          }}
        >
          {LANGUAGES.map((language) => (
            <option key={language} value={language} lang={language}>
              {t(`auth:language.${language}`)}
            </option>
          ))}
        </select>
      </div>
      <div className="panel auth-card">
        <h1>{title}</h1>
        {children}
      </div>
    </Page>
  );
}
