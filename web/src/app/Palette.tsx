import { useTranslation } from 'react-i18next';

import { Dialog } from '@/components/ui/Dialog';

/** Placeholder-free: the palette over pages; flows and runs join when their lists exist. */
export function Palette({ onClose }: { flowsOnly: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t('palette.label')} onClose={onClose}>
      <p>{t('palette.empty')}</p>
    </Dialog>
  );
}
