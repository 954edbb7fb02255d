/** What can be done to a flow, said in its own words: steps, what they wait for, triggers. Text in, text out. */
import { CannotEdit, insertAt, moveItem, removeAt, replaceWithin, same, setAt, treeOf } from './edit';
import { find, jsonOf, type Json, type Path, type TreeNode } from './tree';

export interface Step {
  id: string;
  path: Path;
  /** The list it stands in, and its place there. */
  list: Path;
  index: number;
  /** As written; null when nothing is written, and the step above is waited for. */
  needs: string[] | null;
  waitsFor: string[];
}

type Mapping = { [key: string]: Json };

const FLOW_KEYS = [
  'schema',
  'id',
  'name',
  'description',
  'labels',
  'inputs',
  'vars',
  'triggers',
  'concurrency',
  'timeout',
  'defaults',
  'steps',
  'on_success',
  'on_failure',
  'on_cancel',
  'finally',
  'outputs',
  'retention',
];
const STEP_KEYS = [
  'id',
  'uses',
  'needs',
  'if',
  'run_when',
  'for_each',
  'with',
  'steps',
  'switch',
  'group',
  'subflow',
  'sleep',
  'sleep_until',
  'return',
  'fail',
  'timeout',
  'queue_timeout',
  'retry',
  'continue_on_error',
  'delivery',
  'max_crashes',
  'concurrency',
];
const TRIGGER_KEYS = ['id', 'type', 'enabled', 'cron', 'every', 'event', 'path', 'timezone', 'inputs', 'when'];
const LISTS = ['steps', 'on_success', 'on_failure', 'on_cancel', 'finally'];
const BARE = new Set(['if', 'when']);

/** Every step, nested ones too, in the order of the text. Entries without an id are left out. */
export function stepsOf(root: TreeNode): Step[] {
  const found: Step[] = [];
  if (root.kind === 'map') for (const name of LISTS) collect(root, [name], found);
  return found;
}

function collect(root: TreeNode, list: Path, found: Step[]): void {
  const node = find(root, list);
  if (node?.kind !== 'list') return;
  let above: string | null = null;
  node.entries.forEach((entry, index) => {
    const path = [...list, index];
    const id = textAt(root, [...path, 'id']);
    if (id === null || entry.value.kind !== 'map') return;
    const written = find(root, [...path, 'needs']);
    const needs =
      written?.kind === 'list' ? (jsonOf(written) as Json[]).filter((need) => typeof need === 'string') : null;
    found.push({ id, path, list, index, needs, waitsFor: needs ?? (above === null ? [] : [above]) });
    above = id;
    for (const inner of innerLists(root, path)) collect(root, inner, found);
  });
}

function innerLists(root: TreeNode, step: Path): Path[] {
  const cases = find(root, [...step, 'switch', 'cases']);
  const names = cases?.kind === 'map' ? cases.entries.map((entry) => entry.key) : [];
  return [
    [...step, 'steps'],
    ...names.map((name): Path => [...step, 'switch', 'cases', name]),
    [...step, 'switch', 'default'],
    ...LISTS.map((name): Path => [...step, 'group', name]),
  ];
}

function textAt(root: TreeNode, path: Path): string | null {
  const node = find(root, path);
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : null;
}

function stepNamed(steps: Step[], id: string): Step {
  const step = steps.find((each) => each.id === id);
  if (!step) throw new CannotEdit(`There is no step ${id}.`);
  return step;
}

// --- steps ---------------------------------------------------------------------------------------------------

/** Puts a step into a list of steps, before the one at `index`. */
export function addStep(text: string, list: Path, index: number, step: Mapping): string {
  const steps = stepsOf(treeOf(text).root);
  if (steps.some((each) => each.id === step.id)) throw new CannotEdit(`There is a step ${String(step.id)} already.`);
  if (find(treeOf(text).root, list) === null) return setAt(text, list, [step], FLOW_KEYS);
  return insertAt(text, list, index, step);
}

/** A name that no step has: `limpar`, `limpar_2`, … */
export function freeId(text: string, wanted: string): string {
  const taken = new Set(stepsOf(treeOf(text).root).map((step) => step.id));
  let name = wanted;
  for (let n = 2; taken.has(name); n++) name = `${wanted}_${n}`;
  return name;
}

/** Takes a step away; what waited for it waits for what it waited for. */
export function removeStep(text: string, id: string): string {
  const steps = stepsOf(treeOf(text).root);
  const gone = stepNamed(steps, id);
  const beside = steps.filter((step) => step.id !== id && same([...step.list], [...gone.list]));
  const above = beside.filter((step) => step.index < gone.index).at(-1);
  let changed = text;
  for (const step of beside) {
    if (!step.waitsFor.includes(id)) continue;
    const wanted = [...new Set(step.waitsFor.flatMap((need) => (need === id ? gone.waitsFor : [need])))];
    const implied = above ? [above.id] : [];
    if (step.needs === null && same(wanted, implied)) continue;
    changed = setAt(changed, [...step.path, 'needs'], wanted, STEP_KEYS);
  }
  return removeAt(changed, gone.path);
}

/** Moves a step within its list. Steps without `needs` wait for the one above, wherever they stand. */
export function moveStep(text: string, id: string, index: number): string {
  const step = stepNamed(stepsOf(treeOf(text).root), id);
  return moveItem(text, step.list, step.index, index);
}

/** Renames a step wherever it is named: its id, `needs`, and `steps.<id>` in expressions. */
export function renameStep(text: string, id: string, name: string): string {
  const { root } = treeOf(text);
  const steps = stepsOf(root);
  const step = stepNamed(steps, id);
  if (steps.some((each) => each.id === name)) throw new CannotEdit(`There is a step ${name} already.`);
  let changed = setAt(text, [...step.path, 'id'], name);
  for (const each of steps) {
    each.needs?.forEach((need, index) => {
      if (need === id) changed = setAt(changed, [...each.path, 'needs', index], name);
    });
  }
  for (const [path, value] of textsOf(root)) {
    const bare = BARE.has(String(path.at(-1))) && !path.includes('with');
    const rewrite = (source: string): string => renamed(source, bare, id, name);
    if (rewrite(value) !== value) changed = replaceWithin(changed, path, rewrite(value), rewrite);
  }
  return changed;
}

function* textsOf(node: TreeNode, path: Path = []): Generator<[Path, string]> {
  if (node.kind === 'scalar') {
    if (typeof node.value === 'string' && node.value.includes('steps')) yield [path, node.value];
    return;
  }
  for (const entry of node.entries) yield* textsOf(entry.value, [...path, entry.key]);
}

function renamed(text: string, bare: boolean, id: string, name: string): string {
  if (bare && !text.includes('${{')) return inExpression(text, id, name);
  return text.replace(/\$\{\{[\s\S]*?\}\}/g, (expression) => inExpression(expression, id, name));
}

function inExpression(text: string, id: string, name: string): string {
  const parts = new RegExp(
    `((?<![\\w.])steps\\s*\\.\\s*)${id}\\b` +
      `|((?<![\\w.])steps\\s*\\[\\s*(["']))${id}(?=\\3\\s*\\])` +
      `|"(?:\\\\.|[^"\\\\])*"|'(?:\\\\.|[^'\\\\])*'`,
    'g',
  );
  return text.replace(parts, (all, dotted?: string, indexed?: string) =>
    dotted !== undefined ? dotted + name : indexed !== undefined ? indexed + name : all,
  );
}

/** Sets one key of a step; `undefined` takes it away. */
export function setStepField(text: string, id: string, field: Path, value: Json | undefined): string {
  const { root } = treeOf(text);
  const { path } = stepNamed(stepsOf(root), id);
  const whole = [...path, ...field];
  if (value === undefined) return find(root, whole) ? removeAt(text, whole) : text;
  return setAt(text, whole, value, field.length === 1 ? STEP_KEYS : []);
}

// --- what waits for what -------------------------------------------------------------------------------------

/** Lets `to` wait for `from` too. */
export function connect(text: string, from: string, to: string): string {
  const [source, target] = pair(text, from, to);
  if (target.waitsFor.includes(source.id)) return text;
  return setAt(text, [...target.path, 'needs'], [...target.waitsFor, from], STEP_KEYS);
}

/** Lets `to` wait for `from` no longer. */
export function disconnect(text: string, from: string, to: string): string {
  const [source, target] = pair(text, from, to);
  if (!target.waitsFor.includes(source.id)) return text;
  return setAt(
    text,
    [...target.path, 'needs'],
    target.waitsFor.filter((need) => need !== from),
    STEP_KEYS,
  );
}

function pair(text: string, from: string, to: string): [Step, Step] {
  const steps = stepsOf(treeOf(text).root);
  const [source, target] = [stepNamed(steps, from), stepNamed(steps, to)];
  if (!same([...source.list], [...target.list])) throw new CannotEdit('Steps wait for steps of their own list.');
  if (reaches(steps, from, to)) throw new CannotEdit(`${from} waits for ${to}: they would wait for each other.`);
  return [source, target];
}

/** Whether `from` comes, directly or not, after `to`. */
function reaches(steps: Step[], from: string, to: string): boolean {
  const seen = new Set<string>();
  const todo = [from];
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (id === to) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    todo.push(...(steps.find((step) => step.id === id)?.waitsFor ?? []));
  }
  return false;
}

// --- the flow itself -----------------------------------------------------------------------------------------

/** Sets a key of the flow, such as `name`, `timeout` or `inputs`; `undefined` takes it away. */
export function setFlowField(text: string, path: Path, value: Json | undefined): string {
  if (value === undefined) return find(treeOf(text).root, path) ? removeAt(text, path) : text;
  return setAt(text, path, value, path.length === 1 ? FLOW_KEYS : []);
}

export function addTrigger(text: string, trigger: Mapping): string {
  const node = find(treeOf(text).root, ['triggers']);
  const triggers = node?.kind === 'list' ? (jsonOf(node) as Mapping[]) : [];
  if (triggers.some((each) => each?.id === trigger.id)) {
    throw new CannotEdit(`There is a trigger ${String(trigger.id)} already.`);
  }
  if (node?.kind === 'list') return insertAt(text, ['triggers'], triggers.length, trigger);
  return setAt(text, ['triggers'], [trigger], FLOW_KEYS);
}

export function setTriggerField(text: string, id: string, key: string, value: Json | undefined): string {
  const path = [...triggerPath(text, id), key];
  if (value === undefined) return find(treeOf(text).root, path) ? removeAt(text, path) : text;
  return setAt(text, path, value, TRIGGER_KEYS);
}

export function removeTrigger(text: string, id: string): string {
  return removeAt(text, triggerPath(text, id));
}

function triggerPath(text: string, id: string): Path {
  const node = find(treeOf(text).root, ['triggers']);
  const triggers = node?.kind === 'list' ? (jsonOf(node) as Mapping[]) : [];
  const index = triggers.findIndex((trigger) => trigger?.id === id);
  if (index < 0) throw new CannotEdit(`There is no trigger ${id}.`);
  return ['triggers', index];
}
