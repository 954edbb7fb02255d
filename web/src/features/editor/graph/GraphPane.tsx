import { useQuery } from '@tanstack/react-query';
import { memo, useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import type { TFunction } from 'i18next';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import type { IconName } from '@/components/ui/icons';
import { StatusMark } from '@/components/ui/StatusMark';
import { notify } from '@/components/ui/toasts';
import { cronSentence, everyText } from '@/lib/cron';

import { actionsQuery } from '../api';
import { addStep, connect, disconnect, freeId, removeStep } from '../document/flow';
import type { Path } from '../document/tree';
import type { PaneProps } from '../pane';
import { faultsOf, named, type Mapping, type Picture, type Place, type StepPlace } from '../picture';
import { PickDialog } from '../PickDialog';
import { HEIGHT, layoutOf, shapeKey, WIDTH, type Edge, type Layout, type Node } from './layout';

const ZOOMS = [0.5, 0.75, 1, 1.25];

/** The steps as a graph of the text: chosen, added, connected and removed here, written there. */
export function GraphPane({ picture, faults, selected, stale, edit, choose }: PaneProps) {
  const { t } = useTranslation('editor');
  const [zoom, setZoom] = useState(1);
  const [adding, setAdding] = useState<{ list: Path; index: number } | null>(null);
  const [joining, setJoining] = useState<string | null>(null);
  const canvas = useRef<HTMLDivElement>(null);
  const shape = picture ? shapeKey(picture) : '';
  // oxlint-disable-next-line react/exhaustive-deps -- the shape is all of the picture that matters here
  const layout = useMemo(() => (picture ? layoutOf(picture) : null), [shape]);
  const step = picture?.steps.find((each) => each.key === selected);
  const targets = useMemo(() => new Map(picture?.steps.map((each) => [each.key, each])), [picture]);
  const places = useMemo(() => new Map<string, Place>([...targets, ...(picture?.triggers ?? []).map((each): [string, Place] => [each.key, each])]), [targets, picture]);
  const drawn = useRef<string | null>(null);
  useEffect(() => {
    if (drawn.current === selected) return;
    drawn.current = selected;
    const node = canvas.current?.querySelector(`[data-node="${CSS.escape(selected ?? '')}"]`);
    node?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [selected, layout]);

  function press(key: string): void {
    if (joining === null || picture === null) return choose(key);
    const target = picture.steps.find((each) => each.key === key);
    const joined = target?.waitsFor.includes(joining);
    if (target && key !== joining && edit((text) => (joined ? disconnect : connect)(text, joining, key))) {
      notify(t(joined ? 'graph.unjoined' : 'graph.joined', { from: joining, to: key }));
      setJoining(null);
    }
  }
  const latest = useRef(press);
  useEffect(() => {
    latest.current = press;
  });
  const pressed = useCallback((key: string) => latest.current(key), []);
  const after = (place: StepPlace | undefined): void => {
    const all = picture?.flow.steps;
    setAdding(place ? { list: place.list, index: place.index + 1 } : { list: ['steps'], index: Array.isArray(all) ? all.length : 0 });
  };
  return (
    <section className={stale ? 'pane pane-graph stale' : 'pane pane-graph'} aria-label={t('pane.graph')} tabIndex={-1}>
      <div className="ph">
        <h2>{t('pane.graph')}</h2>
        <div className="acts">
          {step && (
            <>
              <button type="button" className="btn sm" aria-pressed={joining !== null} disabled={stale} onClick={() => setJoining(joining === null ? step.id : null)}>
                <Icon name="link" small />
                {t('graph.join')}
              </button>
              <button
                type="button"
                className="iconbtn"
                aria-label={t('graph.remove', { id: step.id })}
                disabled={stale}
                onClick={() => {
                  if (edit((text) => removeStep(text, step.id))) choose(null);
                }}
              >
                <Icon name="x" small />
              </button>
            </>
          )}
          <button type="button" className="btn sm" data-act="add" disabled={stale || picture === null} onClick={() => after(step)}>
            <Icon name="plus" small />
            {t('graph.add')}
          </button>
        </div>
      </div>
      {joining !== null && (
        <div className="notice" role="status">
          <p>{t('graph.joining', { id: joining })}</p>
          <button type="button" className="btn sm" onClick={() => setJoining(null)}>
            {t('cancel', { ns: 'editor' })}
          </button>
        </div>
      )}
      <div className="canvas">
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- keys that its buttons hand on */}
        <div className="canvas-b" ref={canvas} role="group" aria-label={t('graph.label')} onKeyDown={(event) => layout && walk(event, layout, () => setJoining(null))}>
          {picture && layout && (
            <div className="dag" style={{ width: layout.width, height: layout.height, zoom }}>
              <Lines layout={layout} selected={selected} />
              {layout.nodes.map((node) => (
                <Box key={node.key} node={node} place={places.get(node.key)} bad={badly(picture, node.key, faults)} selected={node.key === selected} onPress={pressed} />
              ))}
              {layout.edges.map((edge) => (
                <Between key={`${edge.from} ${edge.to}`} edge={edge} target={targets.get(edge.to)} disabled={stale} onAdd={setAdding} />
              ))}
            </div>
          )}
        </div>
        <div className="zoom" role="group" aria-label={t('graph.zoom')}>
          <button type="button" className="iconbtn" aria-label={t('graph.smaller')} disabled={zoom === ZOOMS[0]} onClick={() => setZoom(ZOOMS[ZOOMS.indexOf(zoom) - 1] ?? zoom)}>
            −
          </button>
          <span>{`${Math.round(zoom * 100)} %`}</span>
          <button type="button" className="iconbtn" aria-label={t('graph.larger')} disabled={zoom === ZOOMS.at(-1)} onClick={() => setZoom(ZOOMS[ZOOMS.indexOf(zoom) + 1] ?? zoom)}>
            +
          </button>
        </div>
      </div>
      {adding && <AddStep place={adding} edit={edit} onClose={() => setAdding(null)} onAdded={choose} />}
    </section>
  );
}

interface AddProps {
  place: { list: Path; index: number };
  edit: PaneProps['edit'];
  onClose: () => void;
  onAdded: (key: string) => void;
}

/** Every action there is; the chosen one becomes a step, with the text in the inputs that it must have. */
function AddStep({ place, edit, onClose, onAdded }: AddProps) {
  const { t } = useTranslation('editor');
  const { data = [] } = useQuery(actionsQuery);
  return (
    <PickDialog
      title={t('graph.add_title')}
      choices={data.map((action) => ({ value: action.uses, title: action.title, hint: action.description ?? undefined, group: action.module }))}
      onClose={onClose}
      onPick={({ value }) => {
        let id = '';
        const done = edit((text) => {
          id = freeId(text, value.split('/')[1] ?? 'etapa');
          return addStep(text, place.list, place.index, { id, uses: value });
        });
        onClose();
        if (done) onAdded(id);
      }}
    />
  );
}

function badly(picture: Picture, key: string, faults: PaneProps['faults']): string {
  if (faults.length === 0) return '';
  const place = named(picture, key);
  return place ? faultsOf(picture, place, faults).map(({ fault }) => fault.message).join('\n') : '';
}

const ICON: Record<string, IconName> = { switch: 'cond', group: 'board', while: 'retry', for_each: 'tree', subflow: 'flow', sleep: 'clock', sleep_until: 'clock', wait_for: 'bell', return: 'check', fail: 'x' };
const MODULES: Record<string, IconName> = { files: 'note', http: 'globe', git: 'code', github: 'code', monitor: 'report' };

function iconOf(place: Place | undefined, kind: Node['kind']): IconName {
  if (kind === 'trigger') return place?.value.type === 'schedule' || place?.value.type === 'interval' ? 'clock' : 'bolt';
  if (kind === 'handler') return 'hand';
  const deed = place && 'deed' in place ? (place as StepPlace).deed : 'none';
  return ICON[deed] ?? MODULES[String(place?.value.uses).split(/[@/]/)[0] ?? ''] ?? 'module';
}

interface BoxProps {
  node: Node;
  place: Place | undefined;
  /** What is wrong with it, a problem a line. */
  bad: string;
  selected: boolean;
  onPress: (key: string) => void;
}

const Box = memo(function Box({ node, place, bad, selected, onPress }: BoxProps) {
  const { t } = useTranslation('editor');
  const style = { left: node.x, top: node.y, width: WIDTH, height: HEIGHT };
  const icon = <span className="gi">{<Icon name={iconOf(place, node.kind)} />}</span>;
  if (node.kind === 'handler') {
    return (
      <span className="gn end" style={style}>
        {icon}
        <b>{t(`handler.${node.key.slice(1) as 'on_failure'}`)}</b>
      </span>
    );
  }
  const value: Mapping = place?.value ?? {};
  const step = node.kind === 'step' ? (place as StepPlace | undefined) : undefined;
  const name = step?.id ?? String(value.id ?? '');
  const kind = t(`trigger.type.${String(value.type) as 'schedule'}`, { defaultValue: String(value.type) });
  const about = step ? deedOf(step, t) : (momentOf(value) ?? kind);
  const hint = bad ? t('graph.bad', { count: bad.split('\n').length }) : about;
  const classes = ['gn', node.kind === 'trigger' && 'trig', step && !step.value.uses && 'cond', selected && 'sel'];
  return (
    <button type="button" className={classes.filter(Boolean).join(' ')} style={style} data-node={node.key} aria-pressed={selected} title={bad || undefined} onClick={() => onPress(node.key)}>
      {icon}
      <span className="grow">
        <b className="trunc">{name}</b>
        <small className="trunc">{hint}</small>
      </span>
      {bad && <StatusMark status="failed" />}
    </button>
  );
});

function deedOf({ deed, value }: StepPlace, t: TFunction<'editor'>): string {
  if (typeof value.uses === 'string') return value.uses;
  return deed === 'none' ? '' : t(`deed.${deed}`);
}

function momentOf({ cron, every, event, path }: Mapping): string | null {
  if (typeof cron === 'string') return cronSentence(cron);
  if (typeof every === 'string') return everyText(every);
  return typeof event === 'string' ? event : typeof path === 'string' ? path : null;
}

const Between = memo(function Between({ edge, target, disabled, onAdd }: { edge: Edge; target: StepPlace | undefined; disabled: boolean; onAdd: (place: { list: Path; index: number }) => void }) {
  const { t } = useTranslation('editor');
  const middle = edge.points[Math.floor(edge.points.length / 2)] ?? { x: 0, y: 0 };
  // A step put there comes between the two only where the one below simply follows the one above.
  const follows = target !== undefined && target.needs === null;
  return (
    <>
      {edge.label !== null && (
        <span className="el" style={{ left: middle.x, top: middle.y }}>
          {edge.label}
        </span>
      )}
      {follows && edge.label === null && (
        <button type="button" className="add" style={{ left: middle.x, top: middle.y }} disabled={disabled} aria-label={t('graph.insert', { id: target.id })} onClick={() => onAdd({ list: target.list, index: target.index })}>
          <Icon name="plus" small />
        </button>
      )}
    </>
  );
});

function Lines({ layout, selected }: { layout: Layout; selected: string | null }) {
  return (
    <svg width={layout.width} height={layout.height} aria-hidden="true">
      {layout.edges.map((edge) => {
        const [first, ...rest] = edge.points;
        if (!first) return null;
        const last = rest.at(-1) ?? first;
        const bends = rest.slice(0, -1);
        const d = `M${first.x} ${first.y}${bends.map((point, n) => `Q${point.x} ${point.y} ${half(point.x, bends[n + 1]?.x ?? last.x)} ${half(point.y, bends[n + 1]?.y ?? last.y)}`).join('')}L${last.x} ${last.y}`;
        const on = selected !== null && (edge.from === selected || edge.to === selected);
        return <path key={`${edge.from} ${edge.to}`} d={d} fill="none" strokeWidth={on ? 2.4 : 1.8} strokeDasharray={edge.kind === 'needs' ? undefined : '4 4'} style={{ stroke: on ? 'var(--c-brand)' : 'var(--c-line-strong)' }} />;
      })}
    </svg>
  );
}

const half = (a: number, b: number): number => (a + b) / 2;

/** Arrows lead along the edges and between neighbours; Esc ends what was begun. */
function walk(event: KeyboardEvent<HTMLDivElement>, layout: Layout, stop: () => void): void {
  if (event.key === 'Escape') return stop();
  const from = (event.target as HTMLElement).dataset.node;
  const node = layout.nodes.find((each) => each.key === from);
  if (!node) return;
  const beside = layout.nodes.filter((each) => Math.abs(each.y - node.y) < HEIGHT / 2).toSorted((a, b) => a.x - b.x);
  const place = beside.indexOf(node);
  const next = {
    ArrowDown: layout.edges.find((edge) => edge.from === from)?.to,
    ArrowUp: layout.edges.find((edge) => edge.to === from)?.from,
    ArrowLeft: beside[place - 1]?.key,
    ArrowRight: beside[place + 1]?.key,
  }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  event.currentTarget.querySelector<HTMLElement>(`[data-node="${CSS.escape(next)}"]`)?.focus();
}
