import { useId } from 'react';
import i18next from 'i18next';
import { useTranslation } from 'react-i18next';

/** The part of JSON Schema that inputs of flows use. */
export interface Field {
  type?: string;
  title?: string;
  description?: string;
  enum?: unknown[];
  default?: unknown;
  format?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
}

interface Props {
  fields: [string, Field][];
  required: string[];
  faults: Record<string, string>;
}

const isPlain = (field: Field): boolean => ['string', 'number', 'integer', 'boolean'].includes(field.type ?? '');

/** A form from the schema of a flow's inputs; what is neither text, number nor choice is written as JSON. */
export function InputFields({ fields, required, faults }: Props) {
  return fields.map(([name, field]) => (
    <OneField key={name} name={name} field={field} required={required.includes(name)} fault={faults[name]} />
  ));
}

function OneField({ name, field, required, fault }: { name: string; field: Field; required: boolean; fault: string | undefined }) {
  const { t } = useTranslation('flows');
  const id = useId();
  const described = { 'aria-describedby': `${id}-about`, 'aria-invalid': fault !== undefined };
  if (field.type === 'boolean') {
    return (
      <label className="check">
        <input type="checkbox" name={name} defaultChecked={field.default === true} />
        {field.title ?? name}
      </label>
    );
  }
  const text = field.default === undefined ? '' : isPlain(field) ? String(field.default) : JSON.stringify(field.default);
  return (
    <div className="field">
      <label htmlFor={id}>
        {field.title ?? name} {required && <span className="muted">({t('input.required')})</span>}
      </label>
      {field.enum ? (
        <select id={id} className="input" name={name} defaultValue={text} {...described}>
          {field.enum.map((choice) => (
            <option key={String(choice)}>{String(choice)}</option>
          ))}
        </select>
      ) : isPlain(field) ? (
        <input
          id={id}
          className="input"
          name={name}
          defaultValue={text}
          inputMode={field.type === 'string' ? undefined : 'decimal'}
          maxLength={field.maxLength}
          {...described}
        />
      ) : (
        <textarea id={id} className="input mono" name={name} rows={3} defaultValue={text} {...described} />
      )}
      <p id={`${id}-about`} className={fault ? 'fault' : 'hint'}>
        {fault ?? field.description}
      </p>
    </div>
  );
}

/** What was typed, as the values the API takes; and a sentence for each field that cannot be read. */
export function readFields(
  form: FormData,
  fields: [string, Field][],
): { values: Record<string, unknown>; broken: Record<string, string> } {
  const values: Record<string, unknown> = {};
  const broken: Record<string, string> = {};
  for (const [name, field] of fields) {
    const text = String(form.get(name) ?? '').trim();
    if (field.type === 'boolean') values[name] = form.get(name) !== null;
    else if (field.type === 'string' && !field.enum) {
      if (text || field.default !== undefined) values[name] = String(form.get(name) ?? '');
    } else if (text) {
      const read = readOne(text, field);
      if (read === undefined) broken[name] = i18next.t(field.type === 'integer' || field.type === 'number' ? 'flows:input.no_number' : 'flows:input.no_json');
      else values[name] = read;
    }
  }
  return { values, broken };
}

function readOne(text: string, field: Field): unknown {
  if (field.enum) return field.enum.find((choice) => String(choice) === text);
  if (field.type === 'number' || field.type === 'integer') {
    const value = Number(text.replace(',', '.'));
    return Number.isFinite(value) && (field.type === 'number' || Number.isInteger(value)) ? value : undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
