import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Run, Step } from '@/api/runs';
import { Icon } from '@/components/ui/Icon';
import { StatusMark, toneOf, type Status } from '@/components/ui/StatusMark';
import { duration } from '@/lib/format';

import { layoutOf, NODE_HEIGHT, type Graph, type GraphEdge, type GraphNode } from './run-graph';

interface Props {
  run: Run;
  steps: Step[];
  document: unknown;
  selected: string | undefined;
  onSelect: (key: string) => void;
}

/** The flow's steps with how each of them did in this run. */
export function RunGraph({ run, steps, document, selected, onSelect }: Props) {
  const { t } = useTranslation('runs');
  const trigger = t(`trigger.${run.trigger.type as 'manual'}`, { ns: 'common', defaultValue: run.trigger.type });
  const graph = useMemo(() => layoutOf(document, trigger), [document, trigger]);
  const byKey = useMemo(() => new Map(steps.map((step) => [step.key, step])), [steps]);
  const failed = run.error?.step ?? null;
  return (
    // It scrolls sideways in its own box; the steps within take the focus.
    <div className="dagw" data-testid="graph">
      <div
        className="dag"
        role="group"
        aria-label={t('graph.label')}
        style={{ width: graph.width, height: graph.height }}
      >
        <Edges graph={graph} byKey={byKey} failed={failed} />
        {graph.nodes.map((node) => (
          <Node
            key={node.key}
            node={node}
            step={byKey.get(node.key)}
            trigger={trigger}
            selected={selected === node.key}
            onSelect={onSelect}
          />
        ))}
      </div>
    </div>
  );
}

const FAR = 100;
const HOLLOW = new Set(['skipped', 'pending', 'cancelled']);

function Node({
  node,
  step,
  trigger,
  selected,
  onSelect,
}: {
  node: GraphNode;
  step: Step | undefined;
  trigger: string;
  selected: boolean;
  onSelect: (key: string) => void;
}) {
  const { t } = useTranslation('runs');
  const status = node.kind === 'trigger' ? 'succeeded' : (step?.status ?? 'pending');
  const classes = ['nd', HOLLOW.has(status) && 'skip', toneOf(status) === 'err' && 'err', selected && 'sel'];
  const place = { left: node.x, top: node.y, width: node.width, height: NODE_HEIGHT };
  if (node.kind === 'trigger') {
    return (
      <span className="nd" style={place}>
        <Icon name="bolt" small />
        <b className="trunc">{trigger}</b>
      </span>
    );
  }
  return (
    <button
      type="button"
      className={classes.filter(Boolean).join(' ')}
      style={place}
      aria-pressed={selected}
      onClick={() => onSelect(node.key)}
    >
      <StatusMark status={status} />
      <span className="grow">
        <b className="trunc">{node.id}</b>
        <small className="trunc">{hint(step, status, t)}</small>
      </span>
    </button>
  );
}

function hint(step: Step | undefined, status: string, t: ReturnType<typeof useTranslation<'runs'>>['t']): string {
  if (step && step.attempt > 1) return t('graph.attempts', { count: step.attempt });
  if (step?.started_at && step.finished_at && !HOLLOW.has(status)) {
    return duration(Date.parse(step.finished_at) - Date.parse(step.started_at));
  }
  return t(`status.${status as Status}`, { ns: 'common' });
}

function Edges({ graph, byKey, failed }: { graph: Graph; byKey: Map<string, Step>; failed: string | null }) {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const handler = graph.nodes.find((node) => node.kind === 'handler');
  const ran = handler && byKey.has(handler.key);
  const edges: GraphEdge[] =
    ran && failed && nodes.has(failed)
      ? [...graph.edges, { from: failed, to: handler.id, kind: 'failure' }]
      : graph.edges;
  const marker = (id: string, stroke: string) => (
    <marker id={id} viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M1 1l5 3-5 3" fill="none" style={{ stroke }} strokeWidth="1.5" />
    </marker>
  );
  return (
    <svg width={graph.width} height={graph.height} aria-hidden="true">
      <defs>
        {marker('edge', 'var(--c-line-strong)')}
        {marker('edge-off', 'var(--st-idle)')}
        {marker('edge-bad', 'var(--st-err)')}
      </defs>
      {edges.map((edge) => {
        const [from, to] = [nodes.get(edge.from), nodes.get(edge.to)];
        if (!from || !to) return null;
        const off = edge.kind === 'plain' && HOLLOW.has(byKey.get(to.key)?.status ?? 'pending');
        const bad = edge.kind === 'failure';
        return (
          <path
            key={`${edge.from} ${edge.to} ${edge.kind}`}
            d={bad ? downTo(from, to) : curve(from, to)}
            fill="none"
            style={{ stroke: bad ? 'var(--st-err)' : off ? 'var(--st-idle)' : 'var(--c-line-strong)' }}
            strokeWidth="1.6"
            strokeDasharray={bad || off ? '4 4' : undefined}
            markerEnd={`url(#${bad ? 'edge-bad' : off ? 'edge-off' : 'edge'})`}
          />
        );
      })}
    </svg>
  );
}

function curve(from: GraphNode, to: GraphNode): string {
  const [x1, y1] = [from.x + from.width, from.y + NODE_HEIGHT / 2];
  const [x2, y2] = [to.x - 5, to.y + NODE_HEIGHT / 2];
  if (x2 - x1 > FAR) return `M${x1} ${y1}H${x2 - 44}C${x2 - 20} ${y1} ${x2 - 24} ${y2} ${x2} ${y2}`; // past the columns between
  const bend = Math.max((x2 - x1) / 2, 12);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

function downTo(from: GraphNode, to: GraphNode): string {
  const [x1, y1] = [from.x + from.width / 2, from.y + NODE_HEIGHT];
  const [x2, y2] = [to.x + to.width + 5, to.y + NODE_HEIGHT / 2];
  return x1 > x2
    ? `M${x1} ${y1}V${y2 - 10}q0 10 -10 10H${x2}`
    : `M${x1} ${y1}C${x1} ${y2} ${to.x - 30} ${y2} ${to.x - 5} ${y2}`;
}
