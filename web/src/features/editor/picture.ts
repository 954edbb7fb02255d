/** What a valid text means to the panes beside it: its steps and triggers, where they stand, and whose a problem is. */
import type { Fault } from '@/api/client';

import { stepsOf, type Step } from './document/flow';
import { lineEnd, lineStart } from './document/places';
import { find, jsonOf, type Json, type Path, type Tree } from './document/tree';

export type Mapping = { [key: string]: Json };

/** The keys of which a step has one: what it does. */
export const DEEDS = [
  'uses',
  'switch',
  'group',
  'while',
  'subflow',
  'sleep',
  'sleep_until',
  'wait_for',
  'return',
  'fail',
  'for_each',
] as const;
export type Deed = (typeof DEEDS)[number] | 'none';

export interface Place {
  /** A step's id, or `@0` for the first trigger. */
  key: string;
  path: Path;
  from: number;
  to: number;
  value: Mapping;
}

export interface StepPlace extends Place, Omit<Step, 'path'> {
  deed: Deed;
  /** The step whose inner list it stands in. */
  parent: string | null;
}

export interface Picture {
  text: string;
  tree: Tree;
  flow: Mapping;
  steps: StepPlace[];
  triggers: Place[];
}

export function pictureOf(tree: Tree): Picture {
  const flow = jsonOf(tree.root) as Mapping;
  const listed = stepsOf(tree.root);
  const steps = listed.map((step): StepPlace => {
    const place = placeAt(tree, step.path, step.id);
    const deed = DEEDS.find((key) => Object.hasOwn(place.value, key)) ?? 'none';
    const parent = listed.findLast((each) => each !== step && isBelow(step.path, each.path));
    return { ...step, ...place, deed, parent: parent?.id ?? null };
  });
  const node = find(tree.root, ['triggers']);
  const count = node?.kind === 'list' ? node.entries.length : 0;
  const triggers = Array.from({ length: count }, (_, index) => placeAt(tree, ['triggers', index], `@${index}`));
  return { text: tree.text, tree, flow, steps, triggers };
}

function placeAt(tree: Tree, path: Path, key: string): Place {
  const list = find(tree.root, path.slice(0, -1));
  const entry = list?.kind === 'list' ? list.entries[path.at(-1) as number] : undefined;
  const node = find(tree.root, path);
  const value = node ? jsonOf(node) : null;
  const from = lineStart(tree.text, entry?.from ?? 0);
  const end = Math.max(entry?.value.to ?? 0, entry?.from ?? 0);
  const after = tree.text[end - 1] === '\n' ? end : lineEnd(tree.text, end);
  const to = tree.text[after - 1] === '\n' ? after - 1 : after;
  return { key, path, from, to: Math.max(from, to), value: isMapping(value) ? value : {} };
}

function isBelow(path: Path, above: Path): boolean {
  return path.length > above.length && above.every((part, index) => path[index] === part);
}

export function isMapping(value: unknown): value is Mapping {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** The innermost step, or the trigger, that the caret stands in. */
export function placeOf(picture: Picture, at: number): string | null {
  const within = (place: Place): boolean => place.from <= at && at <= place.to;
  const found = picture.steps.filter(within).toSorted((a, b) => b.path.length - a.path.length)[0];
  return (found ?? picture.triggers.find(within))?.key ?? null;
}

export function named(picture: Picture, key: string | null): Place | undefined {
  if (key === null) return undefined;
  return stepNamed(picture, key) ?? picture.triggers.find((trigger) => trigger.key === key);
}

export const stepNamed = (picture: Picture, key: string | null): StepPlace | undefined =>
  key === null ? undefined : picture.steps.find((step) => step.key === key);

/** As the platform writes a path: `steps[0].with.message`. */
export function pathText(path: Path): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index > 0 ? `.${part}` : part)).join('');
}

function restOf(fault: Fault, path: string): string | null {
  if (!fault.path.startsWith(path)) return null;
  const rest = fault.path.slice(path.length);
  return rest === '' || rest.startsWith('.') || rest.startsWith('[') ? rest.replace(/^\./, '') : null;
}

/** The problems below a place, by the first keys under it; those of steps within it are theirs. */
export function faultsOf(picture: Picture, place: Place, faults: Fault[]): { rest: string; fault: Fault }[] {
  const inner = picture.steps.filter((step) => isBelow(step.path, place.path)).map((step) => pathText(step.path));
  const own = pathText(place.path);
  return faults.flatMap((fault) => {
    const rest = restOf(fault, own);
    if (rest === null || inner.some((path) => restOf(fault, path) !== null)) return [];
    return [{ rest, fault }];
  });
}

/** The steps whose outputs a step can read: all that end before it begins. */
export function earlierSteps(picture: Picture, id: string): StepPlace[] {
  const byId = new Map(picture.steps.map((step) => [step.id, step]));
  const found = new Set<string>();
  const todo = [...(byId.get(id)?.waitsFor ?? [])];
  let above = byId.get(id)?.parent;
  while (above) {
    todo.push(...(byId.get(above)?.waitsFor ?? []));
    above = byId.get(above)?.parent;
  }
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (found.has(next) || !byId.has(next)) continue;
    found.add(next);
    todo.push(...(byId.get(next)?.waitsFor ?? []));
  }
  return picture.steps.filter((step) => found.has(step.id));
}

/** A step and all that wait for it, directly or not. */
export function laterSteps(picture: Picture, id: string): Set<string> {
  const after = new Map<string, string[]>();
  for (const step of picture.steps) {
    for (const need of step.waitsFor) after.set(need, [...(after.get(need) ?? []), step.id]);
  }
  const found = new Set([id]);
  for (const each of found) for (const next of after.get(each) ?? []) found.add(next);
  return found;
}
