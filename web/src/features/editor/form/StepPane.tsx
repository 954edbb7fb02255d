import { useTranslation } from 'react-i18next';

import type { Problem } from '../document/tree';
import type { PaneProps } from '../pane';
import { named, stepNamed } from '../picture';
import { FlowForm } from './FlowForm';
import { StepForm } from './StepForm';
import { TriggerForm } from './TriggerForm';

/** The form of what is selected: a step, a trigger, or the flow itself. */
export function StepPane({ broken, ...props }: PaneProps & { broken: Problem | null }) {
  const { t } = useTranslation('editor');
  const { picture, selected, stale } = props;
  const place = picture ? named(picture, selected) : undefined;
  const step = picture ? stepNamed(picture, selected) : undefined;
  const name = step ? step.key : typeof place?.value.id === 'string' ? place.value.id : '';
  const title = place === undefined ? t('form.flow') : step ? t('form.step') : t('form.trigger');
  return (
    <section className={stale ? 'pane pane-form stale' : 'pane pane-form'} aria-label={t('pane.form')} tabIndex={-1}>
      <div className="ph">
        <h2>
          {title} {name && <code>{name}</code>}
        </h2>
        {place !== undefined && (
          <button type="button" className="btn sm quiet" onClick={() => props.choose(null)}>
            {t('form.to_flow')}
          </button>
        )}
      </div>
      {broken && <p className="notice warn">{t('form.stale', { line: broken.line })}</p>}
      <fieldset className="pane-b" disabled={stale} aria-label={title}>
        {picture === null ? null : step ? (
          <StepForm key={`${step.list.join('.')} ${step.index}`} {...props} picture={picture} step={step} />
        ) : place ? (
          <TriggerForm key={place.key} {...props} picture={picture} trigger={place} />
        ) : (
          <FlowForm {...props} picture={picture} />
        )}
      </fieldset>
    </section>
  );
}
