import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';

import { Icon } from './Icon';

interface Props {
  title?: string;
  aside?: ReactNode;
  className?: string;
  children: ReactNode;
}

export function Panel({ title, aside, className, children }: Props) {
  return (
    <section className={['panel', className].filter(Boolean).join(' ')} aria-label={title}>
      {title !== undefined && (
        <div className="panel-h">
          <h2>{title}</h2>
          {aside !== undefined && <div className="panel-aside">{aside}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

/** In the place of what could not be loaded; the rest of the page goes on. */
export function PanelError({ error, retry }: { error: unknown; retry: () => void }) {
  const { t } = useTranslation();
  const id = error instanceof ApiError ? error.requestId : null;
  return (
    <div className="panel-error" role="alert">
      <p>
        <b>{t('panel.failed')}</b>
      </p>
      {error instanceof Error && <p className="muted">{error.message}</p>}
      {id && <p className="muted mono">{t('panel.error_id', { id })}</p>}
      <button type="button" className="btn sm" onClick={retry}>
        <Icon name="retry" small />
        {t('action.retry')}
      </button>
    </div>
  );
}

/** Lines of the final size while data is on its way: nothing moves when it arrives. They appear after 150 ms. */
export function Skeleton({ rows = 1, height = 16 }: { rows?: number; height?: number }) {
  const { t } = useTranslation();
  return (
    <div className="skeletons" role="status" aria-label={t('panel.loading')}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="skeleton" style={{ height }} />
      ))}
    </div>
  );
}
