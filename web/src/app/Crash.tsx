import { useTranslation } from 'react-i18next';

export function Crash({ error }: { error: unknown }) {
  const { t } = useTranslation();
  return (
    <main className="page lone" role="alert">
      <h1>{t('crash.title')}</h1>
      <p className="dim">{t('crash.text')}</p>
      <pre className="mono muted">{error instanceof Error ? error.message : String(error)}</pre>
      <button type="button" className="btn" onClick={() => location.reload()}>
        {t('crash.reload')}
      </button>
    </main>
  );
}
