import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { zone } from '@/lib/format';

import type { Json } from '../document/tree';
import type { Picture } from '../picture';
import { flowField, newTrigger, TRIGGER_TYPES } from './edits';
import { shapeOf } from './schema';
import type { PaneProps } from '../pane';
import { ValueField } from './ValueField';

const FIELDS = [
  ['id', { type: 'string' }],
  ['name', { type: 'string' }],
  ['description', { type: 'string', multiline: true }],
  ['timeout', { type: 'string' }],
] as const;

/** What holds for the flow as a whole, and what starts it. */
export function FlowForm({ picture, faults, edit }: PaneProps & { picture: Picture }) {
  const { t } = useTranslation('editor');
  return (
    <>
      {FIELDS.map(([key, schema]) => (
        <ValueField
          key={key}
          name={key}
          label={t(`flow.${key}`)}
          shape={shapeOf(schema)}
          required={key === 'id'}
          value={picture.flow[key] as Json | undefined}
          faults={faults.filter((fault) => fault.path === key).map((fault) => fault.message)}
          hint={key === 'timeout' ? t('step.duration') : undefined}
          onValue={(value) => (key === 'id' && value === undefined ? undefined : edit(flowField(key, value)))}
        />
      ))}
      <div className="field" role="group" aria-label={t('trigger.add')}>
        <b>{t('trigger.add')}</b>
        <div className="row wrap">
          {TRIGGER_TYPES.map((type) => (
            <button key={type} type="button" className="btn sm" onClick={() => edit(newTrigger(picture.triggers.map((each) => each.value), type, zone()))}>
              <Icon name="plus" small />
              {t(`trigger.type.${type}`)}
            </button>
          ))}
        </div>
      </div>
      <p className="hint">{t('flow.hint')}</p>
    </>
  );
}
