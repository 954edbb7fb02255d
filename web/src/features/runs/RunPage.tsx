import './run.css';

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiError } from '@/api/client';
import { hasEnded, isBroken, type Run, type Step } from '@/api/runs';
import { Page } from '@/components/layout/Page';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { useKeys } from '@/lib/keys';
import { useLive } from '@/lib/live';

import { backgroundQuery, runQuery, stepQuery, stepsQuery, versionQuery, whyQuery } from './api';
import { CauseCard } from './CauseCard';
import { definitionOf, failedTop, itemStep } from './definition';
import { Inspector, type StepTab } from './Inspector';
import { RepeatDialog } from './RepeatDialog';
import { RunGraph } from './RunGraph';
import { RunHead } from './RunHead';
import { Artifacts, Happenings, InputAndOutput } from './RunTabs';
import { RUN_TABS, type RunSearch } from './search';
import { useActs } from './useActs';
import { Waterfall } from './Waterfall';
import { WhyLine } from './WhyLine';

const FRESH_MS = 500;
const GRAPH_UP_TO = 60;
const NO_STEPS: Step[] = [];

export function RunPage() {
  const { id } = useParams({ from: '/shell/runs/$id' });
  const { t } = useTranslation('runs');
  const { data: run, error, refetch } = useQuery(runQuery(id));
  useFreshRun(id);
  if (run) return <OneRun key={id} run={run} />;
  const gone = error instanceof ApiError && error.status === 404;
  return (
    <Page title={t('title')} slim className="run">
      <h1 className="sr">{t('title')}</h1>
      {gone && <p className="empty">{t('gone')}</p>}
      {error && !gone && <PanelError error={error} retry={() => void refetch()} />}
      {!error && <Skeleton rows={8} height={40} />}
    </Page>
  );
}

/** What changes is asked for again when an event says so, at most twice a second; nothing is polled. */
function useFreshRun(id: string): void {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const topics = useMemo(() => [`run:${id}`], [id]);
  const refresh = (): void => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      void client.invalidateQueries({ queryKey: ['run', id] });
    }, FRESH_MS);
  };
  useLive(topics, (event) => event.kind !== 'log' && refresh(), refresh);
  useEffect(() => () => void (timer.current !== null && clearTimeout(timer.current)), []);
}

function OneRun({ run }: { run: Run }) {
  const { t } = useTranslation('runs');
  const search = useSearch({ from: '/shell/runs/$id' });
  const navigate = useNavigate({ from: '/runs/$id' });
  const ended = hasEnded(run);
  const now = useNow(ended);
  const steps = useQuery(stepsQuery(run.id));
  const { data: background } = useQuery(backgroundQuery(run.id));
  const version = useQuery(versionQuery(run.flow, run.version));
  const { data: why } = useQuery({ ...whyQuery(run.id), enabled: !ended });
  const [dialog, setDialog] = useState<{ from: string | null } | null>(null);
  const document = version.data?.document as { name?: string; steps?: { id: string }[] } | undefined;
  const acts = useActs(run);
  const failedStep = failedTop(run, document);
  const selected = search.step ?? (isBroken(run) ? (run.error?.step ?? undefined) : undefined);
  const set = (change: Partial<RunSearch>): void =>
    void navigate({ search: (old: RunSearch) => ({ ...old, ...change }), replace: true });
  const select = (key: string | undefined, attempt?: number): void =>
    set({ step: key ?? '', attempt, line: undefined });
  const list = steps.data ?? NO_STEPS;
  const key = selected === '' ? undefined : selected;
  const listed = list.find((each) => each.key === key);
  const item = useQuery({ ...stepQuery(run.id, key ?? ''), enabled: Boolean(key?.includes('[')) && !listed });
  const step = listed ?? (key && item.data ? itemStep(key, item.data.output, item.data.attempts) : undefined);
  const go = (to: { id: string } | null | undefined): void =>
    void (to && navigate({ to: '/runs/$id', params: { id: to.id }, search: {} }));
  useKeys({
    '[': () => go(background?.previous),
    ']': () => go(background?.next),
    'Shift+R': () => ended && acts.repeat(failedStep),
  });
  const name = document?.name ?? run.flow;
  return (
    <Page title={`${name} #${run.number}`} crumbs={[{ label: t('list.title'), to: '/runs' }]} slim className="run">
      <RunHead
        run={run}
        name={name}
        background={background}
        now={now}
        failedStep={failedStep}
        busy={acts.busy}
        stopping={run.status === 'cancelling' ? (acts.askedAt ?? now) : acts.askedAt}
        onRepeat={acts.repeat}
        onRepeatDialog={(from) => setDialog({ from })}
        onCancel={acts.cancel}
      />
      {why && !ended && <WhyLine why={why} />}
      {background && (
        <CauseCard
          run={run}
          background={background}
          canRepeat={ended}
          onRepeat={() => setDialog({ from: failedStep })}
        />
      )}
      <div className="work">
        <section className="panel clip left" aria-label={t('tabs.label')}>
          <LeftTabs search={search} set={set} />
          <div role="tabpanel" id="run-panel" aria-labelledby={`run-tab-${search.tab ?? 'timeline'}`}>
            {steps.error && <PanelError error={steps.error} retry={() => void steps.refetch()} />}
            {steps.isPending && <Skeleton rows={6} height={40} />}
            {steps.data && (search.tab ?? 'timeline') === 'timeline' && (
              <>
                {document && (document.steps?.length ?? 0) <= GRAPH_UP_TO && (
                  <RunGraph run={run} steps={list} document={document} selected={key} onSelect={select} />
                )}
                <Waterfall
                  run={run}
                  steps={list}
                  document={document}
                  now={now}
                  shorten={search.gaps !== 'whole'}
                  typicalMs={background?.typical_ms ?? null}
                  selected={key}
                  onSelect={select}
                />
              </>
            )}
            {search.tab === 'io' && <InputAndOutput run={run} />}
            {search.tab === 'events' && <Happenings run={run} steps={list} onSelect={select} />}
            {search.tab === 'artifacts' && <Artifacts run={run} />}
            {search.tab === 'yaml' && (
              // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by scrolling
              <pre className="yaml" tabIndex={0} aria-label={t('tabs.yaml')}>
                {version.data?.source ?? t('no_version')}
              </pre>
            )}
          </div>
        </section>
        {steps.data && (
          <Inspector
            run={run}
            step={step}
            name={key}
            definition={definitionOf(document, key)}
            attempt={search.attempt}
            tab={(search.panel as StepTab | undefined) ?? 'logs'}
            line={search.line}
            onTab={(panel) => set({ panel: panel === 'logs' ? undefined : panel })}
            onAttempt={(attempt) => set({ attempt, line: undefined })}
            onLine={(line) => set({ line })}
          />
        )}
      </div>
      {dialog && (
        <RepeatDialog
          run={run}
          steps={(document?.steps ?? []).map((step) => step.id)}
          from={dialog.from}
          onClose={() => setDialog(null)}
          onRepeated={(made) => go({ id: made })}
        />
      )}
    </Page>
  );
}

function LeftTabs({ search, set }: { search: RunSearch; set: (change: Partial<RunSearch>) => void }) {
  const { t } = useTranslation('runs');
  const shown = search.tab ?? 'timeline';
  return (
    <div className="tabrow">
      <div className="tabs grow" role="tablist" aria-label={t('tabs.label')}>
        {RUN_TABS.map((tab) => (
          <button
            key={tab}
            type="button"
            role="tab"
            id={`run-tab-${tab}`}
            aria-controls="run-panel"
            aria-selected={tab === shown}
            onClick={() => set({ tab: tab === 'timeline' ? undefined : tab })}
          >
            {t(`tabs.${tab}`)}
          </button>
        ))}
      </div>
      {shown === 'timeline' && (
        <button
          type="button"
          className="btn sm quiet"
          aria-pressed={search.gaps !== 'whole'}
          onClick={() => set({ gaps: search.gaps === 'whole' ? undefined : 'whole' })}
        >
          {t('waterfall.shorten')}
        </button>
      )}
    </div>
  );
}

/** While it runs, time goes on by the second; after that, by the minute. */
function useNow(ended: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && setNow(Date.now()), ended ? 60_000 : 1_000);
    return () => clearInterval(timer);
  }, [ended]);
  return now;
}
