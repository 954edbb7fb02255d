import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { actionQuery } from '../api';
import { connect, disconnect, removeStep, renameStep } from '../document/flow';
import type { Json, Path } from '../document/tree';
import { faultsOf, isMapping, laterSteps, type Mapping, type Picture, type StepPlace } from '../picture';
import { stepField } from './edits';
import { shapeOf } from './schema';
import type { PaneProps } from '../pane';
import { useSources } from './useSources';
import { ValueField } from './ValueField';

type Props = PaneProps & { picture: Picture; step: StepPlace };

const SETTINGS: [Path, object][] = [
  [['if'], { type: 'string' }],
  [['run_when'], { enum: ['all_success', 'all_done', 'one_failed', 'none_failed', 'always'], default: 'all_success' }],
  [['timeout'], { type: 'string' }],
  [['retry', 'max_attempts'], { type: 'integer' }],
  [['retry', 'delay'], { type: 'string' }],
  [['continue_on_error'], { type: 'boolean', default: false }],
];
/** What a step does without an action: its own value, as JSON, unless it holds steps that have forms of their own. */
const WHOLE = new Set(['sleep', 'sleep_until', 'subflow', 'wait_for', 'return', 'fail', 'for_each']);

export function StepForm({ picture, faults, edit, choose, step }: Props) {
  const { t } = useTranslation('editor');
  const own = faultsOf(picture, step, faults);
  const at = (path: string): string[] =>
    own.filter(({ rest }) => rest === path || rest.startsWith(`${path}.`) || rest.startsWith(`${path}[`)).map(({ fault }) => fault.message);
  const places = ['id', 'needs', 'uses', 'with', ...SETTINGS.map(([path]) => path.join('.')), ...WHOLE];
  const others = own.filter(({ rest }) => !places.some((path) => rest === path || rest.startsWith(`${path}.`) || rest.startsWith(`${path}[`)));
  const uses = typeof step.value.uses === 'string' ? step.value.uses : null;
  return (
    <>
      {others.map(({ fault }) => (
        <p key={fault.message} className="fault">
          {fault.message}
        </p>
      ))}
      {uses !== null && <Inputs picture={picture} step={step} uses={uses} at={at} edit={edit} />}
      {WHOLE.has(step.deed) && (
        <ValueField
          name={step.deed}
          label={t(`deed.${step.deed}`)}
          shape={shapeOf({})}
          value={step.value[step.deed] as Json | undefined}
          faults={at(step.deed)}
          onValue={(value) => value !== undefined && edit(stepField(step, [step.deed], value))}
        />
      )}
      {uses === null && !WHOLE.has(step.deed) && <p className="notice">{t('step.in_text', { deed: step.deed })}</p>}
      <Needs picture={picture} step={step} faults={at('needs')} edit={edit} />
      <details className="settings" open={SETTINGS.some(([path]) => step.value[String(path[0])] !== undefined || at(path.join('.')).length > 0)}>
        <summary>{t('step.more')}</summary>
        <div className="form">
          {SETTINGS.map(([path, schema]) => {
            const name = path.join('.');
            const owner = path.length > 1 ? step.value[String(path[0])] : step.value;
            const value = isMapping(owner) ? owner[String(path.at(-1))] : undefined;
            return (
              <ValueField
                key={name}
                name={name}
                label={t(`step.${path.join('_') as 'if'}`)}
                shape={shapeOf(schema)}
                value={value as Json | undefined}
                faults={at(name)}
                hint={name === 'timeout' || name === 'retry.delay' ? t('step.duration') : undefined}
                onValue={(next) => edit(stepField(step, path, next))}
              />
            );
          })}
        </div>
      </details>
      <Name step={step} faults={at('id')} edit={edit} />
      <button
        type="button"
        className="btn bad"
        onClick={() => {
          if (edit((text) => removeStep(text, step.id))) choose(null);
        }}
      >
        {t('step.remove')}
      </button>
    </>
  );
}

function Inputs({ picture, step, uses, at, edit }: Pick<Props, 'picture' | 'step' | 'edit'> & { uses: string; at: (path: string) => string[] }) {
  const { t } = useTranslation('editor');
  const { data: action, error } = useQuery(actionQuery(uses));
  const sources = useSources(picture, step.key);
  const [raw, setRaw] = useState(false);
  const values = isMapping(step.value.with) ? step.value.with : {};
  const schema = (action?.inputs ?? {}) as Mapping;
  const properties = isMapping(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  const known = Object.keys(properties);
  const names = [...known, ...Object.keys(values).filter((name) => !known.includes(name))];
  return (
    <>
      <div className="about">
        <code>{uses}</code>
        {action && <b>{action.title}</b>}
        {action?.description && <p className="hint">{action.description}</p>}
        {[...at('uses'), ...(raw ? [] : at('with').filter((message) => !names.some((name) => at(`with.${name}`).includes(message))))].map((message) => (
          <p key={message} className="fault">
            {message}
          </p>
        ))}
        {error && at('uses').length === 0 && <p className="notice">{t('step.unknown_action')}</p>}
      </div>
      <div className="row">
        <b className="grow">{t('step.inputs')}</b>
        <div className="seg" role="group" aria-label={t('step.inputs')}>
          <button type="button" aria-pressed={!raw} onClick={() => setRaw(false)}>
            {t('step.fields')}
          </button>
          <button type="button" aria-pressed={raw} onClick={() => setRaw(true)}>
            JSON
          </button>
        </div>
      </div>
      {raw ? (
        <ValueField name="with" label="JSON" shape={shapeOf({})} value={step.value.with as Json | undefined} faults={at('with')} onValue={(value) => edit(stepField(step, ['with'], value))} />
      ) : (
        names.map((name) => {
          const shape = shapeOf(properties[name], schema);
          const hint = action?.secrets.includes(name) ? t('field.secret', { reference: `\${{ secrets.${name} }}` }) : undefined;
          return (
            <ValueField
              key={`${uses} ${name}`}
              name={`with.${name}`}
              label={shape.title ?? name}
              shape={shape}
              required={required.includes(name)}
              value={values[name] as Json | undefined}
              faults={at(`with.${name}`)}
              sources={sources}
              hint={hint}
              onValue={(value) => edit(stepField(step, ['with', name], value))}
            />
          );
        })
      )}
      {!raw && names.length === 0 && action && <p className="hint">{t('step.no_inputs')}</p>}
    </>
  );
}

function Needs({ picture, step, faults, edit }: { picture: Picture; step: StepPlace; faults: string[]; edit: Props['edit'] }) {
  const { t } = useTranslation('editor');
  const list = step.list.join('.');
  const later = laterSteps(picture, step.id); // two steps cannot wait for each other
  const beside = picture.steps.filter((each) => each.list.join('.') === list && !later.has(each.id));
  if (beside.length === 0) return null;
  return (
    <fieldset className="field needs">
      <legend>{t('step.needs')}</legend>
      {beside.map((each) => (
        <label key={each.id} className="check">
          <input
            type="checkbox"
            checked={step.waitsFor.includes(each.id)}
            onChange={(event) => edit((text) => (event.target.checked ? connect : disconnect)(text, each.id, step.id))}
          />
          <code>{each.id}</code>
        </label>
      ))}
      {faults.map((message) => (
        <p key={message} className="fault">
          {message}
        </p>
      ))}
    </fieldset>
  );
}

/** A step is renamed as a whole, with all that names it: when the name is finished, not at each letter. */
function Name({ step, faults, edit }: { step: StepPlace; faults: string[]; edit: Props['edit'] }) {
  const { t } = useTranslation('editor');
  const [typed, setTyped] = useState<string | null>(null);
  const name = typed ?? step.id;
  const wrong = !/^[a-z][a-z0-9_]{0,62}$/.test(name);
  function submit(event?: FormEvent): void {
    event?.preventDefault();
    if (!wrong && name !== step.id) edit((text) => renameStep(text, step.id, name));
    if (!wrong) setTyped(null);
  }
  return (
    <form className="field" onSubmit={submit}>
      <label htmlFor="step-id">{t('step.id')}</label>
      <input
        id="step-id"
        className="input mono"
        value={name}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={wrong || faults.length > 0}
        aria-describedby="step-id-about"
        onChange={(event) => setTyped(event.target.value)}
        onBlur={() => submit()}
      />
      <p id="step-id-about" className={wrong || faults.length > 0 ? 'fault' : 'hint'}>
        {wrong ? t('step.id_wrong') : (faults[0] ?? t('step.id_hint'))}
      </p>
    </form>
  );
}
