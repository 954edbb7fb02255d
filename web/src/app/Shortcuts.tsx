import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import { Dialog } from '@/components/ui/Dialog';

import { NAV } from './nav';

const KEYS = [
  ['Ctrl K', 'shortcuts.palette'],
  ['?', 'shortcuts.help'],
  ['/', 'shortcuts.filter'],
  ['j', 'shortcuts.next_row'],
  ['k', 'shortcuts.previous_row'],
  ['Enter', 'shortcuts.open_row'],
  ['Shift E', 'shortcuts.run_now'],
  ['1 … 6', 'shortcuts.tabs'],
  ['Ctrl S', 'shortcuts.save_draft'],
  ['Ctrl Enter', 'shortcuts.test_step'],
  ['Ctrl Shift Enter', 'shortcuts.run_draft'],
  ['F8', 'shortcuts.next_problem'],
] as const;

export function Shortcuts({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t('shortcuts.title')} onClose={onClose} className="shortcuts">
      <dl>
        {KEYS.map(([keys, label]) => (
          <Fragment key={keys}>
            <dt>
              {keys.split(' ').map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{t(label)}</dd>
          </Fragment>
        ))}
        {NAV.map((item) => (
          <Fragment key={item.key}>
            <dt>
              <kbd>g</kbd> <span className="muted">{t('shortcuts.then')}</span> <kbd>{item.key}</kbd>
            </dt>
            <dd>{t('shortcuts.go', { page: t(item.label) })}</dd>
          </Fragment>
        ))}
      </dl>
    </Dialog>
  );
}
