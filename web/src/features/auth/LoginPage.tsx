import { useQuery } from '@tanstack/react-query';
import { useRouter, useSearch } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { setupQuery } from '@/api/queries';
import { BASE } from '@/lib/base';

import { AuthFrame } from './AuthFrame';
import { SignInForm } from './SignInForm';

export function LoginPage() {
  const { t } = useTranslation('auth');
  const router = useRouter();
  const { next } = useSearch({ from: '/login' });
  const { data: setup } = useQuery(setupQuery);
  if (setup?.needed) {
    return (
      <AuthFrame title={t('sign_in.unset')}>
        <p className="dim">{t('sign_in.unset_hint')}</p>
        <pre className="mono command">monjolo setup-link</pre>
      </AuthFrame>
    );
  }
  // Only an address of our own is opened: `next` comes from outside.
  const target = next?.startsWith('/') && !next.startsWith('//') ? next : '/';
  return (
    <AuthFrame title={t('sign_in.title')}>
      <SignInForm onDone={() => router.history.push(`${BASE.replace(/\/$/, '')}${target}`)} />
    </AuthFrame>
  );
}
