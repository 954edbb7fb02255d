import type { Json } from '../document/tree';
import { isMapping, type Mapping } from '../picture';

export type Kind = 'text' | 'long' | 'number' | 'integer' | 'boolean' | 'choice' | 'json';

export interface FieldShape {
  kind: Kind;
  choices: Json[];
  default: Json | undefined;
  title: string | null;
  description: string | null;
}

/** What a JSON Schema asks for, as far as one control can ask for it; the rest is written as JSON. */
export function shapeOf(schema: unknown, root: Mapping = {}): FieldShape {
  const outer = isMapping(schema) ? schema : {};
  const inner = meant(outer, root);
  const about = { ...inner, ...outer };
  const text = (key: string): string | null => (typeof about[key] === 'string' ? about[key] : null);
  const choices = Array.isArray(inner.enum) ? inner.enum : 'const' in inner ? [inner.const ?? null] : [];
  return {
    kind: kindOf(inner, about, choices),
    choices,
    default: about.default,
    title: text('title'),
    description: text('description'),
  };
}

function kindOf(inner: Mapping, about: Mapping, choices: Json[]): Kind {
  if (choices.length > 0) return 'choice';
  if (inner.type === 'string') return about.multiline === true || inner.multiline === true || isLong(inner) ? 'long' : 'text';
  if (inner.type === 'number' || inner.type === 'integer' || inner.type === 'boolean') return inner.type;
  return 'json';
}

const isLong = ({ format, contentMediaType }: Mapping): boolean => format === 'multiline' || contentMediaType !== undefined;

/** Follows references, and takes `null` out of what may be left out. */
function meant(schema: Mapping, root: Mapping, depth = 0): Mapping {
  if (depth > 8) return {};
  if (typeof schema.$ref === 'string') {
    const name = /^#\/\$defs\/(.+)$/.exec(schema.$ref)?.[1];
    const target = name !== undefined && isMapping(root.$defs) ? root.$defs[name] : undefined;
    return isMapping(target) ? meant(target, root, depth + 1) : {};
  }
  for (const key of ['anyOf', 'oneOf', 'allOf']) {
    const all = schema[key];
    if (!Array.isArray(all)) continue;
    const rest = all.filter((each) => isMapping(each) && each.type !== 'null');
    return rest.length === 1 && isMapping(rest[0]) ? meant(rest[0], root, depth + 1) : {};
  }
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== 'null');
    return types.length === 1 ? { ...schema, type: types[0] ?? null } : {};
  }
  return schema;
}

export const hasExpression = (value: unknown): boolean => typeof value === 'string' && value.includes('${{');

/** A value as it stands in its control. */
export function shown(value: Json | undefined, kind: Kind): string {
  if (value === undefined) return '';
  if (typeof value === 'string' && (kind !== 'json' || hasExpression(value))) return value;
  return kind === 'json' ? JSON.stringify(value, null, 2) : String(value ?? '');
}

/** What was typed, as a value; `undefined` leaves the key out, a `fault` says that it cannot be read. */
export function typedValue(text: string, { kind, choices }: Pick<FieldShape, 'kind' | 'choices'>): { value?: Json | undefined; fault?: 'number' | 'json' } {
  if (text.trim() === '') return {};
  if (hasExpression(text)) return { value: text };
  if (kind === 'choice') return { value: choices.find((choice) => String(choice) === text) };
  if (kind === 'boolean') return { value: text === 'true' };
  if (kind === 'number' || kind === 'integer') {
    const value = Number(text.replace(',', '.'));
    const good = Number.isFinite(value) && (kind === 'number' || Number.isInteger(value));
    return good ? { value } : { fault: 'number' };
  }
  if (kind !== 'json') return { value: text };
  try {
    return { value: JSON.parse(text) as Json };
  } catch {
    return { fault: 'json' };
  }
}
