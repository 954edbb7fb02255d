import { Link } from '@tanstack/react-router';
import i18next from 'i18next';
import { useTranslation } from 'react-i18next';

import type { Dashboard } from '@/api/flows';
import { Icon } from '@/components/ui/Icon';
import { clockTime, hourOf, number, relative, when } from '@/lib/format';
import { link } from '@/lib/links';
import { useMay } from '@/lib/may';
import { openPalette } from '@/lib/overlays';

/** One true sentence about this moment, from a fixed list; the first that applies. */
export function Headline({ dashboard }: { dashboard: Dashboard }) {
  const { t } = useTranslation('dashboard');
  const may = useMay();
  const worst = dashboard.flows.find((flow) => flow.state === 'failing');
  const failing = dashboard.states.failing;
  const greeting = greetingNow();
  const title = failing
    ? t(failing === 1 ? 'headline.failing_one' : 'headline.failing_many', { greeting, count: failing })
    : t('headline.calm', { greeting });
  return (
    <div className="hello">
      <div>
        <h1>{title}</h1>
        <p>
          {worst ? (
            <>
              <Link to={link.flow(worst.slug)}>{worst.name}</Link>{' '}
              {worst.streak > 1
                ? t('headline.failing_streak', { count: worst.streak, time: sinceText(worst.failing_since) })
                : t('headline.failing_once', { time: relative(worst.failing_since ?? dashboard.now) })}{' '}
              {others(dashboard)} {share(dashboard, failing === 1 && dashboard.totals.failed <= worst.streak ? 'rest' : 'calm')}
            </>
          ) : (
            <>
              {share(dashboard, 'calm')} {nextSentence(dashboard)}
            </>
          )}
        </p>
      </div>
      <div className="acts">
        {worst?.last && (
          <Link className="btn lg" to={link.run(worst.last.run)}>
            {t('see_cause')}
          </Link>
        )}
        {may('runs:write') && (
          <button type="button" className="btn lg go" onClick={() => openPalette('flows')}>
            <Icon name="play" />
            {t('run_flow')}
          </button>
        )}
      </div>
    </div>
  );
}

export function greetingNow(): string {
  const hour = hourOf(Date.now());
  if (hour >= 5 && hour < 12) return i18next.t('dashboard:greeting.morning');
  return hour >= 12 && hour < 18 ? i18next.t('dashboard:greeting.afternoon') : i18next.t('dashboard:greeting.evening');
}

function sinceText(since: string | null): string {
  if (since === null) return '';
  return Date.now() - Date.parse(since) < 20 * 3_600_000 ? clockTime(since) : when(since);
}

function others({ flows, states }: Dashboard): string {
  if (states.failing < 2) return '';
  const names = flows
    .filter((flow) => flow.state === 'failing')
    .slice(1, 3)
    .map((flow) => flow.name);
  const left = states.failing - 1 - names.length;
  const list = new Intl.ListFormat(i18next.language, { type: left ? 'unit' : 'conjunction' }).format(names);
  return i18next.t('dashboard:headline.others', {
    names: left ? i18next.t('dashboard:headline.and_more', { names: list, count: left }) : list,
  });
}

function share({ totals, window }: Dashboard, kind: 'rest' | 'calm'): string {
  const words = { window: i18next.t(`dashboard:window.in_${window}`), ok: number(totals.ok), all: number(totals.runs) };
  if (totals.ok === 0) return i18next.t(kind === 'rest' ? 'dashboard:headline.rest_none' : 'dashboard:headline.calm_nothing', words);
  return i18next.t(kind === 'rest' ? 'dashboard:headline.rest' : 'dashboard:headline.calm_share', words);
}

function nextSentence({ next }: Dashboard): string {
  const first = next[0];
  if (!first) return i18next.t('dashboard:headline.calm_quiet');
  return i18next.t('dashboard:headline.calm_next', { name: first.name, time: relative(first.at) });
}
