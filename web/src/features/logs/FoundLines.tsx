import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';
import { clockTime, fullInstant, when } from '@/lib/format';

import { aroundQuery, type FoundLine, type LogFilters } from './api';

const TONE: Record<string, string> = { error: 't-err', critical: 't-err', warning: 't-warn', info: 't-run' };

interface Props {
  lines: FoundLine[];
  query: string;
  onFilter: (change: LogFilters) => void;
}

const keyOf = (line: FoundLine): string => `${line.run} ${line.step} ${line.attempt} ${line.line}`;

export function FoundLines({ lines, query, onFilter }: Props) {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <ol className="found">
      {lines.map((line) => {
        const key = keyOf(line);
        return (
          <OneLine
            key={key}
            line={line}
            query={query}
            open={open === key}
            onOpen={() => setOpen(open === key ? null : key)}
            onFilter={onFilter}
          />
        );
      })}
    </ol>
  );
}

interface OneProps {
  line: FoundLine;
  query: string;
  open: boolean;
  onOpen: () => void;
  onFilter: (change: LogFilters) => void;
}

function OneLine({ line, query, open, onOpen, onFilter }: OneProps) {
  const { t } = useTranslation('logs');
  return (
    <li className={open ? 'open' : undefined}>
      <div className="fl">
        <button
          type="button"
          className="iconbtn"
          aria-expanded={open}
          aria-label={t('around', { line: line.line, number: line.number })}
          onClick={onOpen}
        >
          <Icon name={open ? 'chevd' : 'chev'} small />
        </button>
        <span className="num muted fl-at" title={fullInstant(line.at)}>
          {when(line.at)}
        </span>
        <span className={`lvl ${TONE[line.level] ?? 'muted'}`}>
          {t(`word.${line.level as 'info'}`, { defaultValue: line.level })}
        </span>
        <span className="fl-run">
          <button
            type="button"
            className="linklike trunc"
            title={t('only', { name: line.flow })}
            onClick={() => onFilter({ flow: line.flow })}
          >
            {line.flow}
          </button>
          <Link
            to="/runs/$id"
            params={{ id: line.run }}
            search={{ step: line.step, attempt: line.attempt, line: line.line }}
            className="num"
          >
            #{line.number}
          </Link>
          <button
            type="button"
            className="linklike mono trunc"
            title={t('only', { name: line.step })}
            onClick={() => onFilter({ step: line.step })}
          >
            {line.step}
          </button>
        </span>
        <span className="fl-text mono">{marked(line.text, query)}</span>
      </div>
      {open && <Around line={line} />}
    </li>
  );
}

function marked(text: string, query: string): React.ReactNode {
  const at = query ? text.toLowerCase().indexOf(query.toLowerCase()) : -1;
  if (at < 0) return text;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + query.length)}</mark>
      {text.slice(at + query.length)}
    </>
  );
}

/** The ten lines before and after, of the same attempt. */
function Around({ line }: { line: FoundLine }) {
  const { t } = useTranslation('logs');
  const { data, error, refetch } = useQuery(aroundQuery(line));
  if (error) return <PanelError error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton rows={6} />;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is read by scrolling
    <pre className="fl-around" tabIndex={0} aria-label={t('around_label')}>
      {data.map((each) => (
        <span key={each.n} className={each.line === line.line ? 'here' : undefined}>
          {`${String(each.line).padStart(6)}  ${clockTime(each.at, true)}  ${each.text}`}
        </span>
      ))}
      {Object.keys(line.fields).length > 0 && <span className="muted">{JSON.stringify(line.fields, null, 2)}</span>}
    </pre>
  );
}
