import { keepPreviousData, queryOptions, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useId, useMemo, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Schemas } from '@/api/client';
import type { FlowRow } from '@/api/flows';
import { useRunDialog } from '@/components/run-flow/RunDialog';
import { Dialog } from '@/components/ui/Dialog';
import { Icon } from '@/components/ui/Icon';
import type { IconName } from '@/components/ui/icons';
import { setTheme, themeNow } from '@/lib/appearance';
import { score } from '@/lib/fuzzy';
import { link } from '@/lib/links';
import { useMay } from '@/lib/may';
import { show } from '@/lib/overlays';
import { recent, remember } from '@/lib/recent';

import { NAV } from './nav';

interface Item {
  id: string;
  icon: IconName;
  label: string;
  hint?: string;
  runs?: boolean;
  act: () => void;
}

const SHOWN = 12;
const INDEXED = 200;

interface Props {
  flowsOnly: boolean;
  onClose: () => void;
}

/** One input over pages, flows and verbs; what was opened last comes first. */
export function Palette({ flowsOnly, onClose }: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useId();
  const navigate = useNavigate();
  const { ask, dialog } = useRunDialog((run) => {
    onClose();
    void navigate({ to: link.run(run.id) });
  });
  const items = useItems(text, flowsOnly, (flow) => ask(flow));
  const found = useMemo(() => ranked(items, text), [items, text]);
  const chosen = Math.min(at, found.length - 1);

  function choose(item: Item | undefined): void {
    if (!item) return;
    remember(item.id);
    if (!item.runs) onClose();
    item.act();
  }

  function pressed(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && found.length > 0) {
      event.preventDefault();
      setAt((chosen + step + found.length) % found.length);
    } else if (event.key === 'Enter' && !event.nativeEvent.isComposing) {
      event.preventDefault();
      choose(found[chosen]);
    }
  }

  if (dialog) return dialog;
  return (
    <Dialog title={t('palette.label')} onClose={onClose} className="palette">
      <div className="palette-in">
        <Icon name="search" small />
        <input
          role="combobox"
          aria-expanded
          aria-controls={list}
          aria-activedescendant={found[chosen] ? `${list}-${chosen}` : undefined}
          aria-label={t('palette.label')}
          placeholder={t('palette.open')}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={pressed}
        />
      </div>
      <div id={list} role="listbox" className="palette-list" aria-label={t('palette.label')}>
        {found.map((item, place) => (
          // The keyboard chooses in the input, which keeps the focus.
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
          <div
            key={item.id}
            id={`${list}-${place}`}
            role="option"
            aria-selected={place === chosen}
            onPointerMove={() => setAt(place)}
            onClick={() => choose(item)}
          >
            <Icon name={item.icon} small />
            <span className="trunc grow">{item.label}</span>
            {item.hint && <span className="muted">{item.hint}</span>}
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="muted">{t('palette.empty')}</p>}
      <p className="palette-foot muted">{t('palette.hint')}</p>
    </Dialog>
  );
}

function useItems(text: string, flowsOnly: boolean, run: (flow: FlowRow) => void): Item[] {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const may = useMay();
  const { data: index } = useQuery(namesQuery(undefined));
  // What the local index lacks is asked of the server.
  const { data: more } = useQuery({ ...namesQuery(lastWords(text)), enabled: Boolean(index?.next) && text.length > 1 });
  const known = new Set(index?.items.map((flow) => flow.slug));
  const rows = [...(index?.items ?? []), ...(more?.items ?? []).filter((flow) => !known.has(flow.slug))];
  const flows = rows.flatMap((flow): Item[] => {
    const runs: Item[] =
      may('runs:write') && flow.state !== 'paused'
        ? [{ id: `run:${flow.slug}`, icon: 'play', label: t('palette.run_flow', { name: flow.name }), runs: true, act: () => run(flow) }]
        : [];
    if (flowsOnly) return runs;
    const open: Item = { id: `flow:${flow.slug}`, icon: 'flow', label: flow.name, hint: t('palette.flow'), act: () => void navigate({ to: link.flow(flow.slug) }) };
    return [open, ...runs];
  });
  if (flowsOnly) return flows;
  const pages = NAV.map((item): Item => ({ id: `page:${item.to}`, icon: item.icon, label: t(item.label), hint: t('palette.page'), act: () => void navigate({ to: item.to }) }));
  const dark = themeNow() === 'dark';
  return [
    ...pages,
    ...flows,
    { id: 'theme', icon: dark ? 'sun' : 'moon', label: t(dark ? 'theme.to_light' : 'theme.to_dark'), act: () => setTheme(dark ? 'light' : 'dark') },
    { id: 'shortcuts', icon: 'keyboard', label: t('shortcuts.title'), act: () => queueMicrotask(() => show('shortcuts')) },
  ];
}

const namesQuery = (q: string | undefined) =>
  queryOptions({
    queryKey: ['flow-rows', 'palette', q ?? ''],
    staleTime: 10_000,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      answer<Schemas['FlowRows']>(api.GET('/api/v1/dashboard/flows', { params: { query: { q, limit: INDEXED } }, signal })),
  });

/** `executar backup` looks for flows called `backup`: the server knows names, not verbs. */
const lastWords = (text: string): string => text.replace(/^\s*(exec\w*|rodar?|abrir?|run|open)\s+/i, '');

function ranked(items: Item[], text: string): Item[] {
  const lately = recent();
  const fresh = (id: string): number => {
    const place = lately.indexOf(id);
    return place < 0 ? 0 : 40 - place;
  };
  return items
    .map((item) => ({ item, points: score(text, item.label) }))
    .filter((each): each is { item: Item; points: number } => each.points !== null)
    .toSorted((a, b) => b.points + fresh(b.item.id) - a.points - fresh(a.item.id))
    .slice(0, SHOWN)
    .map((each) => each.item);
}
