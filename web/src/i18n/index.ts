import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import { LANGUAGES, type Language } from './languages';

const catalogues = {
  'pt-BR': () => import('./pt-BR'),
  en: () => import('./en'),
} as const;

/** Loads the catalogue of one language and switches to it. Numbers and dates follow, for they ask for it. */
export async function speak(language: Language): Promise<void> {
  const { catalogue } = await catalogues[language]();
  if (!i18next.isInitialized) {
    await i18next.use(initReactI18next).init({
      lng: language,
      fallbackLng: false,
      supportedLngs: [...LANGUAGES],
      defaultNS: 'common',
      resources: { [language]: catalogue },
      interpolation: { escapeValue: false },
      returnNull: false,
    });
  } else {
    for (const [namespace, texts] of Object.entries(catalogue)) {
      i18next.addResourceBundle(language, namespace, texts, true, true);
    }
    await i18next.changeLanguage(language);
  }
  document.documentElement.lang = language;
}
