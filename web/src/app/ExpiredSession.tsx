import { useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';

import { session } from '@/api/session';
import { Dialog } from '@/components/ui/Dialog';
import { SignInForm } from '@/features/auth/SignInForm';

/** Over the page, which stays as it is: what failed for want of a session is asked again after the sign-in. */
export function ExpiredSession() {
  const { t } = useTranslation('auth');
  const expired = useSyncExternalStore(session.subscribe, session.isExpired);
  if (!expired) return null;
  return (
    <Dialog title={t('expired.title')} onClose={() => undefined} firm className="expired">
      <p className="dim">{t('expired.text')}</p>
      <SignInForm onDone={() => undefined} />
    </Dialog>
  );
}
