import { useEffect, useId, useRef, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from './Icon';

interface Props {
  title: string;
  onClose: () => void;
  /** Cannot be dismissed: the page waits for an answer. */
  firm?: boolean;
  className?: string;
  children: ReactNode;
}

/** The browser's own modal dialog: it keeps the focus, closes with Esc and makes the page behind it inert. */
export function Dialog({ title, onClose, firm = false, className, children }: Props) {
  const { t } = useTranslation();
  const own = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = own.current;
    dialog?.showModal();
    // The first thing to fill in, rather than the button that closes.
    dialog?.querySelector<HTMLElement>('input, select, textarea')?.focus();
    return () => dialog?.close();
  }, []);
  return (
    // A click on the backdrop is a click on the dialog itself; the keyboard has Esc for it.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions
    <dialog
      ref={own}
      className={['dialog', className].filter(Boolean).join(' ')}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        if (!firm) onClose();
      }}
      onClick={(event) => {
        if (event.target === own.current && !firm) onClose();
      }}
    >
      <div className="dialog-h">
        <h2 id={heading}>{title}</h2>
        {!firm && (
          <button type="button" className="iconbtn" aria-label={t('action.close')} onClick={onClose}>
            <Icon name="x" />
          </button>
        )}
      </div>
      {children}
    </dialog>
  );
}
