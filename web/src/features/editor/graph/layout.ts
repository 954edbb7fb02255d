import dagre from '@dagrejs/dagre';

import type { Picture, StepPlace } from '../picture';

export interface Node {
  key: string;
  kind: 'trigger' | 'step' | 'handler';
  x: number;
  y: number;
}

export interface Edge {
  from: string;
  to: string;
  /** `inner` leads into the steps within a step, `start` from what starts the run. */
  kind: 'needs' | 'inner' | 'start';
  /** The case of a switch, the handler of a group. */
  label: string | null;
  points: { x: number; y: number }[];
}

export interface Layout {
  nodes: Node[];
  edges: Edge[];
  width: number;
  height: number;
}

export const WIDTH = 208;
export const HEIGHT = 54;
const MARGIN = 24;

type Link = Pick<Edge, 'from' | 'to' | 'kind' | 'label'>;

/** What leads where. Steps that wait for nothing of their list hang from what the list belongs to. */
export function linksOf({ steps, triggers }: Picture): Link[] {
  const ids = new Set(steps.map((step) => step.id));
  return steps.flatMap((step): Link[] => {
    const needs = step.waitsFor.filter((id) => ids.has(id));
    if (needs.length > 0) return needs.map((from): Link => ({ from, to: step.id, kind: 'needs', label: null }));
    if (step.parent !== null) return [{ from: step.parent, to: step.id, kind: 'inner', label: caseOf(step) }];
    if (step.list[0] !== 'steps') return [{ from: `@${String(step.list[0])}`, to: step.id, kind: 'start', label: null }];
    return triggers.map((trigger): Link => ({ from: trigger.key, to: step.id, kind: 'start', label: null }));
  });
}

function caseOf({ list }: StepPlace): string | null {
  const last = String(list.at(-1));
  return last === 'steps' ? null : last;
}

/** The lists of steps that run at the end, each below a node of its own. */
export const handlersOf = ({ steps }: Picture): string[] =>
  [...new Set(steps.filter((step) => step.list.length === 1 && step.list[0] !== 'steps').map((step) => `@${String(step.list[0])}`))];

export function layoutOf(picture: Picture): Layout {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: 28, ranksep: 42, marginx: MARGIN, marginy: MARGIN });
  const keys: [string, Node['kind']][] = [
    ...picture.triggers.map((trigger): [string, Node['kind']] => [trigger.key, 'trigger']),
    ...picture.steps.map((step): [string, Node['kind']] => [step.key, 'step']),
    ...handlersOf(picture).map((key): [string, Node['kind']] => [key, 'handler']),
  ];
  for (const [key] of keys) graph.setNode(key, { width: WIDTH, height: HEIGHT });
  const links = linksOf(picture);
  for (const link of links) graph.setEdge(link.from, link.to, {}, link.kind);
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const nodes = keys.map(([key, kind]): Node => {
    const { x, y } = graph.node(key) as { x: number; y: number };
    return { key, kind, x: x - WIDTH / 2, y: y - HEIGHT / 2 };
  });
  const edges = links.map((link): Edge => {
    const { points } = graph.edge(link.from, link.to, link.kind) as { points: { x: number; y: number }[] };
    return { ...link, points };
  });
  return { nodes, edges, width: Math.max(width, WIDTH + 2 * MARGIN), height: Math.max(height, HEIGHT + 2 * MARGIN) };
}

/** Where a step's graph is the same, its layout is. */
export const shapeKey = (picture: Picture): string =>
  JSON.stringify([picture.triggers.length, picture.steps.map((step) => step.key), linksOf(picture)]);
