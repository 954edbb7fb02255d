import { useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';

import type { Json } from '../document/tree';
import { PickDialog } from '../PickDialog';
import { hasExpression, shown, typedValue, type FieldShape } from './schema';
import type { Source } from './sources';

interface Props {
  name: string;
  label: string;
  shape: FieldShape;
  value: Json | undefined;
  required?: boolean;
  /** What the platform says is wrong with it. */
  faults: string[];
  /** What can be read here; without any, the field takes a literal only. */
  sources?: Source[] | undefined;
  hint?: string | undefined;
  onValue: (value: Json | undefined) => void;
}

/** One value of a step: a literal in the control that fits it, or an expression. */
export function ValueField({ name, label, shape, value, required = false, faults, sources, hint, onValue }: Props) {
  const { t } = useTranslation('editor');
  const id = useId();
  const control = useRef<HTMLInputElement & HTMLTextAreaElement & HTMLSelectElement>(null);
  const [typed, setTyped] = useState<string | null>(null);
  const [wantsExpression, setWantsExpression] = useState(false);
  const [picking, setPicking] = useState(false);
  const isExpression = wantsExpression || hasExpression(value);
  const kind = isExpression && shape.kind !== 'long' ? 'text' : shape.kind;
  const text = typed ?? shown(value, shape.kind);
  const read = typedValue(text, { kind: isExpression ? 'text' : shape.kind, choices: shape.choices });
  const own = typed !== null && read.fault ? t(`field.no_${read.fault}`) : null;
  const messages = own ? [own] : faults;
  const change = (next: string): void => {
    setTyped(next);
    const given = typedValue(next, { kind: isExpression ? 'text' : shape.kind, choices: shape.choices });
    if (!given.fault) onValue(given.value);
  };
  const props = {
    id,
    ref: control,
    name,
    className: kind === 'text' && !isExpression ? 'input' : 'input mono',
    'aria-describedby': `${id}-about`,
    'aria-invalid': messages.length > 0,
    'aria-required': required,
    value: text,
    onChange: (event: { target: { value: string } }) => change(event.target.value),
    onBlur: () => !own && setTyped(null),
  };
  const pick = (source: string): void => {
    setPicking(false);
    const expression = `\${{ ${source} }}`;
    const at = control.current?.selectionStart ?? text.length;
    const within = (shape.kind === 'text' || shape.kind === 'long') && text !== '' && !/^\$\{\{[^}]*\}\}$/.test(text);
    const next = within ? text.slice(0, at) + expression + text.slice(at) : expression;
    setTyped(null);
    onValue(next);
    control.current?.focus();
  };
  const placeholder = shape.default === undefined || shape.default === null || isExpression ? undefined : shown(shape.default, shape.kind);
  return (
    <div className="field" data-field={name}>
      <div className="lab">
        <label htmlFor={id}>
          {label} {required && <span className="muted">({t('field.required')})</span>}
        </label>
        {sources && shape.kind !== 'text' && shape.kind !== 'long' && (
          <button
            type="button"
            className="iconbtn tiny"
            aria-pressed={isExpression}
            aria-label={t('field.expression', { label })}
            onClick={() => {
              setTyped(null);
              setWantsExpression(!isExpression);
              if (hasExpression(value)) onValue(undefined);
            }}
          >
            <b aria-hidden="true">=</b>
          </button>
        )}
        {sources && (
          <button type="button" className="iconbtn tiny" aria-label={t('field.source', { label })} onClick={() => setPicking(true)}>
            <Icon name="link" small />
          </button>
        )}
      </div>
      {kind === 'choice' || kind === 'boolean' ? (
        <select {...props}>
          <option value="">{placeholder === undefined ? '—' : t('field.default', { value: placeholder })}</option>
          {(kind === 'boolean' ? [true, false] : shape.choices).map((choice) => (
            <option key={String(choice)} value={String(choice)}>
              {kind === 'boolean' ? t(choice ? 'field.yes' : 'field.no') : String(choice)}
            </option>
          ))}
        </select>
      ) : kind === 'long' || kind === 'json' ? (
        <textarea {...props} rows={Math.min(Math.max(text.split('\n').length, 2), 10)} placeholder={placeholder} spellCheck={false} />
      ) : (
        <input {...props} placeholder={placeholder} inputMode={kind === 'text' ? undefined : 'decimal'} autoComplete="off" spellCheck={false} />
      )}
      <div id={`${id}-about`}>
        {messages.map((message) => (
          <p key={message} className="fault">
            {message}
          </p>
        ))}
        {messages.length === 0 && (hint ?? shape.description) && <p className="hint">{hint ?? shape.description}</p>}
      </div>
      {picking && (
        <PickDialog
          title={t('field.source', { label })}
          choices={(sources ?? []).map((source) => ({ value: source.value, title: source.title, group: t(`source.${source.kind}`) }))}
          onPick={(choice) => pick(choice.value)}
          onClose={() => setPicking(false)}
        />
      )}
    </div>
  );
}
