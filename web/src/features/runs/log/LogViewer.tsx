import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { PanelError } from '@/components/ui/Panel';
import { bytes, number } from '@/lib/format';
import { useKeys } from '@/lib/keys';

import { downloadUrl, type LogOf } from '../api';
import { LogRow } from './LogRow';
import { LogTools } from './LogTools';
import { useLog } from './useLog';

const ROW = 20;
const BEYOND = 12;

interface Props {
  of: LogOf;
  label: string;
  live: boolean;
  /** What the attempt failed with; it stands below the lines. */
  failure: string | null;
  line: number | undefined;
  onLine: (line: number | undefined) => void;
}

/** Windowed: however long the log is, only the rows in view are in the document. */
export function LogViewer({ of, label, live, failure, line, onLine }: Props) {
  const { t } = useTranslation('runs');
  const [query, setQuery] = useState('');
  const [level, setLevel] = useState<string>();
  const [follow, setFollow] = useState(live);
  const { store, shown } = useLog(of, live, query, level);
  const box = useRef<HTMLDivElement>(null);
  const view = useView(box);
  const failing = useMemo(() => (failure ?? '').trimEnd().split('\n').filter(Boolean), [failure]);
  const lines = shown.only?.length ?? shown.index?.lines ?? 0;
  const total = lines + failing.length;
  const numberAt = useCallback((row: number): number => (shown.only ? (shown.only[row] ?? 0) : row + 1), [shown.only]);
  const rowOf = useCallback(
    (n: number): number => (shown.only ? shown.only.findIndex((each) => each >= n) : n - 1),
    [shown.only],
  );
  const show = useCallback(
    (row: number): void => {
      const { current } = box;
      if (current && row >= 0) current.scrollTop = Math.max(row * ROW - current.clientHeight / 3, 0);
    },
    [box],
  );
  const first = Math.max(Math.floor(view.top / ROW) - BEYOND, 0);
  const count = Math.min(Math.ceil(view.height / ROW) + BEYOND * 2, Math.max(total - first, 0));
  const rows = Array.from({ length: count }, (_, index) => first + index);
  useEffect(() => {
    store.want(rows.filter((row) => row < lines).map(numberAt));
  });
  useOpening({
    lines,
    ready: shown.index !== null,
    line,
    live,
    errors: shown.index?.errors ?? [],
    failing: failing.length,
    show,
    rowOf,
  });
  useLayoutEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const jump = useJump({ found: query ? shown.found : (shown.index?.errors ?? []), line, onLine, show, rowOf });
  useKeys({
    n: () => jump(1),
    p: () => jump(-1),
    f: () => setFollow(true),
    '/': () => document.getElementById('log-search')?.focus(),
  });
  return (
    <div className="logbox" data-testid="log">
      <LogTools
        shown={shown}
        query={query}
        onQuery={setQuery}
        level={level}
        onLevel={setLevel}
        current={line}
        onJump={jump}
      />
      {shown.error !== null && shown.index === null && (
        <PanelError error={shown.error} retry={() => void store.load()} />
      )}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- it is scrolled and searched by keyboard */}
      <div
        className="log"
        ref={box}
        role="log"
        aria-live="off"
        aria-label={label}
        // A log is scrolled by keyboard too.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        onKeyDown={(event) => {
          if (!(event.ctrlKey || event.metaKey) || event.key !== 'f') return;
          event.preventDefault(); // the browser's own search would see only what is in view; a second time it comes
          document.getElementById('log-search')?.focus();
        }}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          view.read();
          const atEnd = scrollHeight - scrollTop - clientHeight < ROW * 1.5;
          if (!atEnd && scrollTop < view.top) setFollow(false);
          else if (atEnd && live) setFollow(true);
        }}
      >
        <div className="log-all" style={{ height: total * ROW }}>
          {rows.map((row) =>
            row < lines ? (
              <LogRow
                key={row}
                top={row * ROW}
                n={numberAt(row)}
                line={store.line(numberAt(row))}
                query={query}
                chosen={numberAt(row) === line}
                whole={of.step === undefined}
                onChoose={onLine}
              />
            ) : (
              <div key={row} className="l e" style={{ top: row * ROW }}>
                <span className="n" />
                <span className="tm" />
                <span className="lvl t-err">{row === lines ? t('log.level.error') : ''}</span>
                <span className="m">{failing[row - lines]}</span>
              </div>
            ),
          )}
        </div>
        {shown.index !== null && total === 0 && (
          <p className="log-empty muted">{t(live ? 'log.nothing_yet' : 'log.nothing')}</p>
        )}
      </div>
      <LineDetail line={line === undefined ? undefined : store.line(line)} />
      <div className="lf">
        <span className="num">
          {t('log.size', {
            count: shown.index?.lines ?? 0,
            lines: number(shown.index?.lines ?? 0),
            size: bytes(shown.index?.bytes ?? 0),
          })}
        </span>
        {live && (
          <button type="button" className="btn sm quiet" aria-pressed={follow} onClick={() => setFollow(!follow)}>
            {t(follow ? 'log.following' : 'log.follow')}
          </button>
        )}
        <span className="grow" />
        <Icon name="down" small />
        <a href={downloadUrl(of, 'txt')} download aria-label={t('log.download', { format: '.txt' })}>
          .txt
        </a>
        <a href={downloadUrl(of, 'ndjson')} download aria-label={t('log.download', { format: '.ndjson' })}>
          .ndjson
        </a>
        <a href={downloadUrl(of, 'ndjson', true)} download aria-label={t('log.download', { format: '.gz' })}>
          .gz
        </a>
      </div>
    </div>
  );
}

/** What of the box is in view. */
function useView(box: React.RefObject<HTMLDivElement | null>): { top: number; height: number; read: () => void } {
  const [view, setView] = useState({ top: 0, height: 400 });
  const read = useCallback(() => {
    const { current } = box;
    if (current) setView({ top: current.scrollTop, height: current.clientHeight });
  }, [box]);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(read);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, [box, read]);
  return { ...view, read };
}

interface Opening {
  ready: boolean;
  lines: number;
  line: number | undefined;
  live: boolean;
  errors: number[];
  failing: number;
  show: (row: number) => void;
  rowOf: (n: number) => number;
}

/** Once: to the line of the address, else to the first error, else to the end of what failed. */
function useOpening({ ready, lines, line, live, errors, failing, show, rowOf }: Opening): void {
  const done = useRef(false);
  useEffect(() => {
    if (!ready || done.current) return;
    done.current = true;
    if (line !== undefined) show(rowOf(line));
    else if (errors[0] !== undefined) show(rowOf(errors[0]));
    else if (failing > 0 && !live) show(lines);
  });
}

interface Jump {
  found: number[];
  line: number | undefined;
  onLine: (line: number) => void;
  show: (row: number) => void;
  rowOf: (n: number) => number;
}

function useJump({ found, line, onLine, show, rowOf }: Jump): (by: 1 | -1) => void {
  return (by) => {
    if (found.length === 0) return;
    const at = line ?? 0;
    const next = by > 0 ? found.find((n) => n > at) : found.findLast((n) => n < at);
    const chosen = next ?? (by > 0 ? found[0] : found.at(-1));
    if (chosen === undefined) return;
    onLine(chosen);
    show(rowOf(chosen));
  };
}

/** The chosen line whole, with its fields: in its row it may be cut. */
function LineDetail({ line }: { line: ReturnType<ReturnType<typeof useLog>['store']['line']> }) {
  if (!line || (line.text.length < 60 && Object.keys(line.fields).length === 0)) return null;
  return (
    <pre className="log-detail">
      {line.text}
      {Object.keys(line.fields).length > 0 && `\n${JSON.stringify(line.fields, null, 2)}`}
    </pre>
  );
}
