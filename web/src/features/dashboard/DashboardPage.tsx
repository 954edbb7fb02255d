import { useTranslation } from 'react-i18next';

import { Page } from '@/components/layout/Page';

export function DashboardPage() {
  const { t } = useTranslation();
  return (
    <Page title={t('nav.dashboard')}>
      <h1>{t('nav.dashboard')}</h1>
    </Page>
  );
}
