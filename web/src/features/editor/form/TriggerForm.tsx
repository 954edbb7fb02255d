import { useTranslation } from 'react-i18next';

import type { Json } from '../document/tree';
import { faultsOf, type Picture, type Place } from '../picture';
import { triggerField, withoutTrigger } from './edits';
import { shapeOf } from './schema';
import type { PaneProps } from '../pane';
import { ValueField } from './ValueField';

const FIELDS: Record<string, [string, object][]> = {
  schedule: [
    ['cron', { type: 'string' }],
    ['timezone', { type: 'string', default: 'UTC' }],
    ['misfire', { enum: ['all', 'last', 'skip'], default: 'last' }],
  ],
  interval: [['every', { type: 'string' }]],
  webhook: [
    ['path', { type: 'string' }],
    ['auth', {}],
    ['respond', { enum: ['async', 'sync'], default: 'async' }],
  ],
  event: [['event', { type: 'string' }]],
};
const ALWAYS: [string, object][] = [
  ['when', { type: 'string' }],
  ['enabled', { type: 'boolean', default: true }],
];
const NEEDED = new Set(['cron', 'every', 'event', 'auth']);

export function TriggerForm({ picture, faults, edit, choose, trigger }: PaneProps & { picture: Picture; trigger: Place }) {
  const { t } = useTranslation('editor');
  const { value } = trigger;
  const own = faultsOf(picture, trigger, faults);
  const fields = [...(FIELDS[String(value.type)] ?? []), ...(value.type === 'manual' ? [] : ALWAYS)];
  const told = new Set(fields.map(([key]) => key));
  const others = own.filter(({ rest }) => !told.has(rest.split(/[.[]/)[0] ?? ''));
  const all = picture.triggers.map((each) => each.value);
  return (
    <>
      <p className="dim">{t(`trigger.type.${String(value.type) as 'schedule'}`, { defaultValue: String(value.type) })}</p>
      {others.map(({ fault }) => (
        <p key={fault.message} className="fault">
          {fault.message}
        </p>
      ))}
      {fields.map(([key, schema]) => (
        <ValueField
          key={key}
          name={key}
          label={t(`trigger.${key as 'cron'}`)}
          shape={shapeOf(schema)}
          required={NEEDED.has(key)}
          value={value[key] as Json | undefined}
          faults={own.filter(({ rest }) => rest.split(/[.[]/)[0] === key).map(({ fault }) => fault.message)}
          onValue={(next) => edit(triggerField(value, key, next))}
        />
      ))}
      <button
        type="button"
        className="btn bad"
        onClick={() => {
          if (edit(withoutTrigger(all, String(value.id)))) choose(null);
        }}
      >
        {t('trigger.remove')}
      </button>
    </>
  );
}
