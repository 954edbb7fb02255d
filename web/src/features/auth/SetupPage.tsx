import { useQuery } from '@tanstack/react-query';
import { Navigate, useNavigate } from '@tanstack/react-router';
import { useId, useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { setupQuery } from '@/api/queries';

import { setUp } from './api';
import { AuthFrame } from './AuthFrame';
import { strengthOf } from './strength';
import { PasswordField } from './PasswordField';

const DRAFT = 'monjolo.setup';
const keyInLink = (): string | null => new URLSearchParams(location.hash.slice(1)).get('setup');
const zones = (): string[] => Intl.supportedValuesOf('timeZone');
const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What was typed before the tab was closed; never the password. */
function draft(): Record<string, string> {
  try {
    return JSON.parse(localStorage.getItem(DRAFT) ?? '{}') as Record<string, string>;
  } catch {
    return {};
  }
}

function keepDraft(form: HTMLFormElement): void {
  const given = new FormData(form);
  const kept = { name: given.get('name'), email: given.get('email'), timezone: given.get('timezone') };
  try {
    localStorage.setItem(DRAFT, JSON.stringify(kept));
  } catch {
    // storage may be switched off: then nothing is kept
  }
}

export function SetupPage() {
  const { t, i18n } = useTranslation('auth');
  const navigate = useNavigate();
  const [key] = useState(keyInLink);
  const [earlier] = useState(draft);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<{ text: string; key: boolean } | null>(null);
  const [password, setPassword] = useState('');
  const { data: setup } = useQuery(setupQuery);
  const ids = { name: useId(), email: useId(), zone: useId(), strength: useId() };
  if (key === null || setup?.needed === false) return <Navigate to="/login" replace />;

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    setBusy(true);
    setFault(null);
    try {
      await setUp({
        key: key ?? '',
        name: String(given.get('name')),
        email: String(given.get('email')),
        password: String(given.get('password')),
        locale: i18n.language,
        timezone: String(given.get('timezone')),
      });
      localStorage.removeItem(DRAFT);
      await navigate({ to: '/', replace: true });
    } catch (error) {
      const detail = error instanceof ApiError ? error.detail : String(error);
      const spent = error instanceof ApiError && error.code === 'setup_key';
      setFault({ text: spent ? t('setup.key') : t('setup.failed', { detail }), key: spent });
      setBusy(false);
    }
  }

  return (
    <AuthFrame title={t('setup.title')}>
      <p className="dim">{t('setup.lead')}</p>
      <form className="form" onSubmit={(event) => void submit(event)} onInput={(event) => keepDraft(event.currentTarget)}>
        <div className="field">
          <label htmlFor={ids.name}>{t('setup.name')}</label>
          <input id={ids.name} className="input" name="name" required maxLength={100} autoComplete="name" defaultValue={earlier.name} />
        </div>
        <div className="field">
          <label htmlFor={ids.email}>{t('setup.email')}</label>
          <input id={ids.email} className="input" name="email" type="email" required maxLength={254} autoComplete="username" defaultValue={earlier.email} />
        </div>
        <PasswordField
          label={t('setup.password')}
          name="password"
          autoComplete="new-password"
          minLength={10}
          onInput={setPassword}
          describedBy={ids.strength}
        >
          <p id={ids.strength} className="hint" aria-live="polite">
            {t('setup.password_hint')}
            {password && <b data-strength={strengthOf(password)}> · {t(`setup.strength_${strengthOf(password)}`)}</b>}
          </p>
        </PasswordField>
        <div className="field">
          <label htmlFor={ids.zone}>{t('setup.zone')}</label>
          <select id={ids.zone} className="input" name="timezone" defaultValue={earlier.timezone ?? ownZone()}>
            {[...new Set([ownZone(), 'UTC', ...zones()])].map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </div>
        <div role="alert">
          {fault && <p className="fault">{fault.text}</p>}
          {fault?.key && <pre className="mono command">monjolo setup-link</pre>}
        </div>
        <button type="submit" className="btn lg primary" disabled={busy}>
          {t(busy ? 'setup.submitting' : 'setup.submit')}
        </button>
      </form>
    </AuthFrame>
  );
}
