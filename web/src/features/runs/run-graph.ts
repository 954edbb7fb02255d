/** Where the steps of a flow stand in its graph, left to right. Made anew each time: it is never stored. */

export interface GraphNode {
  id: string;
  key: string;
  kind: 'trigger' | 'step' | 'handler';
  x: number;
  y: number;
  width: number;
}

export interface GraphEdge {
  from: string;
  to: string;
  kind: 'plain' | 'failure';
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  width: number;
  height: number;
}

interface StepDefinition {
  id: string;
  needs?: string[];
}

const GAP_X = 28;
const ROW = 60;
const NODE_H = 40;
const MARGIN = 12;

export const NODE_HEIGHT = NODE_H;

export function layoutOf(document: unknown, trigger: string): Graph {
  const { steps, on_failure: handlers } = (document ?? {}) as { steps?: unknown; on_failure?: unknown };
  const list = named(steps);
  const needs = needsOf(list);
  const layers = layersOf(list, needs);
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const columns = Math.max(0, ...layers.values()) + 1;
  const tallest = Math.max(1, ...countPerLayer(layers));
  let x = MARGIN;
  const first = widthFor(trigger);
  nodes.push({
    id: '@trigger',
    key: '@trigger',
    kind: 'trigger',
    x,
    y: MARGIN + ((tallest - 1) * ROW) / 2,
    width: first,
  });
  x += first + GAP_X;
  for (let layer = 0; layer < columns; layer++) {
    const here = list.filter((step) => layers.get(step.id) === layer);
    const width = Math.max(0, ...here.map((step) => widthFor(step.id)));
    const top = MARGIN + ((tallest - here.length) * ROW) / 2;
    here.forEach((step, row) => {
      nodes.push({ id: step.id, key: step.id, kind: 'step', x, y: top + row * ROW, width });
      const wanted = needs.get(step.id) ?? [];
      if (wanted.length === 0) edges.push({ from: '@trigger', to: step.id, kind: 'plain' });
      for (const need of wanted) edges.push({ from: need, to: step.id, kind: 'plain' });
    });
    if (here.length > 0) x += width + GAP_X;
  }
  let height = MARGIN * 2 + (tallest - 1) * ROW + NODE_H;
  const failing = named(handlers);
  if (failing.length > 0) {
    let across = MARGIN + first + GAP_X;
    for (const step of failing) {
      const width = widthFor(step.id);
      nodes.push({ id: step.id, key: `on_failure.${step.id}`, kind: 'handler', x: across, y: height + 8, width });
      across += width + GAP_X;
    }
    x = Math.max(x, across);
    height += ROW;
  }
  return { nodes, edges, width: x - GAP_X + MARGIN, height };
}

function widthFor(name: string): number {
  return Math.min(Math.max(name.length * 7.4 + 46, 96), 200);
}

function named(steps: unknown): StepDefinition[] {
  if (!Array.isArray(steps)) return [];
  return steps.filter((step: StepDefinition) => typeof step?.id === 'string');
}

function needsOf(list: StepDefinition[]): Map<string, string[]> {
  const ids = new Set(list.map((step) => step.id));
  return new Map(
    list.map((step, index) => {
      const above = list[index - 1];
      const needs = step.needs ?? (above ? [above.id] : []);
      return [step.id, needs.filter((need) => ids.has(need))];
    }),
  );
}

function layersOf(list: StepDefinition[], needs: Map<string, string[]>): Map<string, number> {
  const layers = new Map<string, number>();
  const depth = (id: string, trail: string[]): number => {
    const known = layers.get(id);
    if (known !== undefined || trail.includes(id)) return known ?? 0;
    const found = Math.max(-1, ...(needs.get(id) ?? []).map((need) => depth(need, [...trail, id]))) + 1;
    layers.set(id, found);
    return found;
  };
  // In the order of the list: what a step needs mostly stands above it, so the recursion stays shallow.
  for (const step of list) depth(step.id, []);
  return layers;
}

function countPerLayer(layers: Map<string, number>): number[] {
  const counts: number[] = [];
  for (const layer of layers.values()) counts[layer] = (counts[layer] ?? 0) + 1;
  return counts;
}
