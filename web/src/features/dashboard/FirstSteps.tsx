import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { publish, recipesQuery, startRun, type Dashboard, type Recipe } from '@/api/flows';
import { queryClient } from '@/api/queries';
import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { notify } from '@/components/ui/toasts';
import { link } from '@/lib/links';

import { WaterlinePanel } from './WaterlinePanel';

const CARDS = 3;

/** The empty platform: the waterline at rest, and three recipes that run with one click. */
export function FirstSteps({ dashboard }: { dashboard: Dashboard }) {
  const { t } = useTranslation(['dashboard', 'flows']);
  const navigate = useNavigate();
  const { data: recipes, error, refetch } = useQuery(recipesQuery);
  const [busy, setBusy] = useState<string | null>(null);
  const guard = useRef(false);

  async function run(recipe: Recipe): Promise<void> {
    if (guard.current) return;
    guard.current = true;
    setBusy(recipe.id);
    try {
      await publish(recipe.source);
      const started = await startRun(recipe.id);
      void queryClient.invalidateQueries({ queryKey: ['dashboard'] });
      await navigate({ to: link.run(started.id) });
    } catch (failure) {
      notify(t('flows:run.failed', { detail: failure instanceof ApiError ? failure.detail : String(failure) }), { bad: true });
      guard.current = false;
      setBusy(null);
    }
  }

  return (
    <>
      <div className="hello">
        <div>
          <h1>{t('headline.empty')}</h1>
          <p>{t('headline.empty_text')}</p>
        </div>
      </div>
      <section className="recipes" aria-label={t('recipes.title')}>
        {error && <PanelError error={error} retry={() => void refetch()} />}
        {!recipes && !error && <Skeleton height={150} />}
        {recipes
          ?.filter((recipe) => !recipe.needs_inputs)
          .slice(0, CARDS)
          .map((recipe) => (
            <article className="panel recipe" key={recipe.id}>
              <h2>{recipe.name}</h2>
              <p className="dim">{t(`recipes.about.${recipe.id as 'ola-monjolo'}`, { defaultValue: recipe.description })}</p>
              <button
                type="button"
                className="btn go"
                disabled={busy !== null}
                aria-label={`${t('recipes.run')} ${recipe.name}`}
                onClick={() => void run(recipe)}
              >
                <Icon name="play" small />
                {t('recipes.run')}
              </button>
            </article>
          ))}
      </section>
      <WaterlinePanel dashboard={dashboard} onOpen={() => undefined} />
    </>
  );
}
