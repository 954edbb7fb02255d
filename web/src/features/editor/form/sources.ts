import { earlierSteps, isMapping, type Picture } from '../picture';

export interface Source {
  /** As it stands in an expression. */
  value: string;
  title: string;
  kind: 'inputs' | 'vars' | 'steps' | 'item' | 'run';
}

/** What a step can read: the run's inputs, variables, what earlier steps gave, and the item of its loop. */
export function sourcesFor(picture: Picture, key: string | null, outputs: Record<string, unknown> = {}): Source[] {
  const found: Source[] = [];
  const { inputs, vars } = picture.flow;
  const properties = isMapping(inputs) && isMapping(inputs.properties) ? inputs.properties : {};
  for (const [name, schema] of Object.entries(properties)) {
    const title = isMapping(schema) ? schema.title ?? schema.description ?? schema.type : '';
    found.push({ value: `inputs.${name}`, title: String(title ?? ''), kind: 'inputs' });
  }
  if (Array.isArray(vars)) {
    for (const name of vars) if (typeof name === 'string') found.push({ value: `vars.${name}`, title: '', kind: 'vars' });
  }
  const id = picture.steps.find((step) => step.key === key)?.id;
  for (const step of id === undefined ? picture.steps : earlierSteps(picture, id)) {
    const uses = typeof step.value.uses === 'string' ? step.value.uses : step.deed;
    found.push({ value: `steps.${step.id}.output`, title: uses, kind: 'steps' });
    const schema = outputs[uses];
    const fields = isMapping(schema) && isMapping(schema.properties) ? schema.properties : {};
    for (const [name, field] of Object.entries(fields)) {
      const title = isMapping(field) ? String(field.title ?? field.description ?? field.type ?? '') : '';
      found.push({ value: `steps.${step.id}.output.${name}`, title, kind: 'steps' });
    }
  }
  for (let step = picture.steps.find((each) => each.key === key); step; step = picture.steps.find((each) => each.id === step?.parent)) {
    const loop = step.value.for_each;
    if (!isMapping(loop)) continue;
    found.push({ value: typeof loop.as === 'string' ? loop.as : 'item', title: step.id, kind: 'item' });
    found.push({ value: 'index', title: step.id, kind: 'item' });
  }
  for (const name of ['run.id', 'run.number', 'run.created_at', 'flow.id', 'flow.name']) found.push({ value: name, title: '', kind: 'run' });
  return found.filter((source, index) => found.findIndex((each) => each.value === source.value) === index);
}
