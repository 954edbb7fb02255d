import { useId, useState, type ReactNode, type Ref } from 'react';
import { useTranslation } from 'react-i18next';

interface Props {
  label: string;
  name: string;
  autoComplete: 'current-password' | 'new-password';
  inputRef?: Ref<HTMLInputElement>;
  onInput?: (value: string) => void;
  describedBy?: string;
  minLength?: number;
  children?: ReactNode;
}

/** Takes pastes and password managers; shows what was typed when asked to. */
export function PasswordField({ label, name, autoComplete, inputRef, onInput, describedBy, minLength, children }: Props) {
  const { t } = useTranslation('auth');
  const [shown, setShown] = useState(false);
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="with-button">
        <input
          id={id}
          ref={inputRef}
          className="input"
          name={name}
          type={shown ? 'text' : 'password'}
          required
          minLength={minLength}
          maxLength={1000}
          autoComplete={autoComplete}
          aria-describedby={describedBy}
          onInput={(event) => onInput?.(event.currentTarget.value)}
        />
        <button
          type="button"
          aria-label={t(shown ? 'sign_in.hide_password' : 'sign_in.show_password')}
          onClick={() => setShown(!shown)}
        >
          {t(shown ? 'sign_in.hide' : 'sign_in.show')}
        </button>
      </div>
      {children}
    </div>
  );
}
