import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Page } from '@/components/layout/Page';

export function NotFound() {
  const { t } = useTranslation();
  return (
    <Page title={t('not_found.title')} className="lone">
      <h1>{t('not_found.title')}</h1>
      <p className="dim">{t('not_found.text')}</p>
      <Link to="/" className="btn">
        {t('not_found.home')}
      </Link>
    </Page>
  );
}
