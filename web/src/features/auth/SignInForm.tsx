import { useId, useRef, useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { meQuery, queryClient } from '@/api/queries';
import { duration } from '@/lib/format';

import { signIn } from './api';
import { PasswordField } from './PasswordField';

export function SignInForm({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation('auth');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const password = useRef<HTMLInputElement>(null);
  const email = useId();
  const known = queryClient.getQueryData(meQuery.queryKey)?.user?.email ?? '';

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    setBusy(true);
    setFault(null);
    try {
      await signIn(String(given.get('email')), String(given.get('password')));
      onDone();
    } catch (error) {
      setFault(sentence(error));
      setBusy(false);
      if (password.current) {
        password.current.value = '';
        password.current.focus();
      }
    }
  }

  function sentence(error: unknown): string {
    if (!(error instanceof ApiError)) return String(error);
    if (error.status === 401) return t('sign_in.wrong');
    if (error.status === 429) return t('sign_in.too_many', { wait: duration((error.retryAfter ?? 60) * 1000) });
    if (error.code === 'needs_https') return t('sign_in.needs_https');
    return t('sign_in.failed', { detail: error.detail });
  }

  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      <div className="field">
        <label htmlFor={email}>{t('sign_in.email')}</label>
        <input
          id={email}
          className="input"
          name="email"
          type="email"
          required
          maxLength={254}
          autoComplete="username"
          defaultValue={known}
        />
      </div>
      <PasswordField label={t('sign_in.password')} name="password" autoComplete="current-password" inputRef={password} />
      <p className="fault" role="alert">
        {fault}
      </p>
      <button type="submit" className="btn lg primary" disabled={busy}>
        {t(busy ? 'sign_in.submitting' : 'sign_in.submit')}
      </button>
    </form>
  );
}
