export const LANGUAGES = ['pt-BR', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

const KEPT = 'monjolo.language';

/** Portuguese for those whose browser asks for any of it, English for everybody else; a choice made here wins. */
export function preferredLanguage(): Language {
  const kept = stored();
  if (kept) return kept;
  return languageOf(navigator.languages[0] ?? navigator.language);
}

/** The language that a locale such as `pt-PT` or `fr` is shown in. */
export function languageOf(locale: string): Language {
  return locale.toLowerCase().startsWith('pt') ? 'pt-BR' : 'en';
}

export function keepLanguage(language: Language): void {
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // storage may be switched off; the choice then lasts as long as the page
  }
}

function stored(): Language | null {
  try {
    const kept = localStorage.getItem(KEPT);
    return LANGUAGES.find((language) => language === kept) ?? null;
  } catch {
    return null;
  }
}
