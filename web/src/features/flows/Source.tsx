import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { notify } from '@/components/ui/toasts';
import { apiUrl } from '@/lib/base';

/** The document as it was written. */
export function Source({ slug, source }: { slug: string; source: string }) {
  const { t } = useTranslation(['flows', 'common']);
  return (
    <section className="panel clip" aria-label={t('tab.yaml')}>
      <div className="panel-h">
        <h2>{t('tab.yaml')}</h2>
        <div className="panel-aside">
          <button
            type="button"
            className="btn sm"
            onClick={() => void navigator.clipboard.writeText(source).then(() => notify(t('common:action.copied')))}
          >
            <Icon name="copy" small />
            {t('common:action.copy')}
          </button>
          <a className="btn sm" href={apiUrl(`/flows/${encodeURIComponent(slug)}/export`)} download={`${slug}.yaml`}>
            <Icon name="down" small />
            {t('yaml.export')}
          </a>
        </div>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a box that scrolls must be reachable by keyboard */}
      <pre className="source mono" tabIndex={0}>
        {source}
      </pre>
    </section>
  );
}
