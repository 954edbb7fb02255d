/** The edits of the form, each one of the text. */
import { removeAt } from '../document/edit';
import { addTrigger, removeTrigger, setFlowField, setStepField, setTriggerField } from '../document/flow';
import type { Json, Path } from '../document/tree';
import { isMapping, type Mapping, type StepPlace } from '../picture';

type Change = (text: string) => string;

/** Sets a key of a step, such as `with.message`; a mapping that would be left empty goes with its last key. */
export function stepField(step: StepPlace, field: Path, value: Json | undefined): Change {
  const [head, ...rest] = field;
  const owner = step.value[String(head)];
  const last = rest.length === 1 && isMapping(owner) && Object.keys(owner).every((key) => key === rest[0]);
  if (value === undefined && last) return (text) => setStepField(text, step.id, [String(head)], undefined);
  return (text) => setStepField(text, step.id, field, value);
}

export const flowField = (key: string, value: Json | undefined): Change => (text) => setFlowField(text, [key], value);

export const triggerField = (trigger: Mapping, key: string, value: Json | undefined): Change => (text) =>
  setTriggerField(text, String(trigger.id), key, value);

const FIRST: Record<string, Mapping> = {
  schedule: { cron: '0 9 * * *' },
  interval: { every: '1h' },
  webhook: { auth: 'none' },
  event: { event: 'run.failed' },
};
export const TRIGGER_TYPES = ['schedule', 'interval', 'webhook', 'event'] as const;

/** A trigger of a type that is valid as it stands, under a name that is free. */
export function newTrigger(triggers: Mapping[], type: (typeof TRIGGER_TYPES)[number], zone: string): Change {
  const taken = new Set(triggers.map((trigger) => trigger.id));
  let id: string = type;
  for (let n = 2; taken.has(id); n++) id = `${type}_${n}`;
  const rest = { ...FIRST[type], ...(type === 'schedule' ? { timezone: zone } : {}) };
  return (text) => addTrigger(text, { id, type, ...rest });
}

/** Takes a trigger away, and the key with the last one. */
export const withoutTrigger = (triggers: Mapping[], id: string): Change => (text) =>
  triggers.length === 1 ? removeAt(text, ['triggers']) : removeTrigger(text, id);
