import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { notify } from '@/components/ui/toasts';
import { Icon } from '@/components/ui/Icon';

const SHOWN = 100_000;

/** A value as JSON; long text that holds lines stands as lines. */
export function JsonView({ value, label }: { value: unknown; label: string }) {
  const { t } = useTranslation('runs');
  const [whole, setWhole] = useState(false);
  const text = typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? 'null');
  const long = text.length > SHOWN && !whole;
  return (
    <div className="json">
      <button
        type="button"
        className="btn sm quiet"
        onClick={() =>
          void navigator.clipboard?.writeText(text).then(() => notify(t('action.copied', { ns: 'common' })))
        }
      >
        <Icon name="copy" small />
        {t('action.copy', { ns: 'common' })}
      </button>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by scrolling */}
      <pre tabIndex={0} aria-label={label}>
        {long ? text.slice(0, SHOWN) : text}
      </pre>
      {long && (
        <button type="button" className="btn sm" onClick={() => setWhole(true)}>
          {t('action.show_more', { ns: 'common' })}
        </button>
      )}
    </div>
  );
}
