import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { hasEnded, type Background, type Run } from '@/api/runs';
import { Icon } from '@/components/ui/Icon';
import { StatusChip } from '@/components/ui/StatusMark';
import { duration, fullInstant, relative, when } from '@/lib/format';

import { downloadUrl } from './api';

interface Props {
  run: Run;
  name: string;
  background: Background | undefined;
  now: number;
  failedStep: string | null;
  busy: boolean;
  stopping: number | null;
  onRepeat: (from: string | null) => void;
  onRepeatDialog: (from: string | null) => void;
  onCancel: (force: boolean) => void;
}

export function RunHead({
  run,
  name,
  background,
  now,
  failedStep,
  busy,
  stopping,
  onRepeat,
  onRepeatDialog,
  onCancel,
}: Props) {
  const { t } = useTranslation('runs');
  const took = Date.parse(run.finished_at ?? new Date(now).toISOString()) - Date.parse(run.created_at);
  const ended = hasEnded(run);
  return (
    <header className="hd">
      <div className="grow">
        <h1>
          {name} <span className="no">#{run.number}</span>
          <StatusChip status={run.status} />
        </h1>
        <div className="facts">
          <span title={fullInstant(run.created_at)}>
            <Icon name="clock" small />
            {when(run.created_at, now)} ({relative(run.created_at, now)})
          </span>
          <span>
            {t(ended ? 'head.took' : 'head.for')} <b>{duration(Math.max(took, 0))}</b>
            {background?.typical_ms != null && t('head.usual', { time: duration(background.typical_ms) })}
          </span>
          <span>
            {t('head.by')}{' '}
            <b>{t(`trigger.${run.trigger.type as 'manual'}`, { ns: 'common', defaultValue: run.trigger.type })}</b>
          </span>
          <span>
            {t('head.version')} <b>v{run.version}</b>
          </span>
          {background?.repeat_of && (
            <span>
              {t('head.repeats')}{' '}
              <Link to="/runs/$id" params={{ id: background.repeat_of.id }}>
                #{background.repeat_of.number}
              </Link>
            </span>
          )}
          {background && background.repeats.length > 0 && (
            <span>
              {t('head.repeated')}
              {background.repeats.map((each) => (
                <Link key={each.id} to="/runs/$id" params={{ id: each.id }}>
                  #{each.number}
                </Link>
              ))}
            </span>
          )}
          {run.parent && (
            <span>
              <Link to="/runs/$id" params={{ id: run.parent.run }} search={{ step: run.parent.step }}>
                {t('head.parent')}
              </Link>
            </span>
          )}
        </div>
      </div>
      <div className="acts">
        <a className="btn" href={downloadUrl({ run: run.id }, 'txt')} download>
          <Icon name="down" small />
          {t('head.download')}
        </a>
        {!ended && <CancelButton stopping={stopping} now={now} onCancel={onCancel} />}
        {ended && <RepeatButton failedStep={failedStep} busy={busy} onRepeat={onRepeat} onDialog={onRepeatDialog} />}
      </div>
    </header>
  );
}

function CancelButton({
  stopping,
  now,
  onCancel,
}: {
  stopping: number | null;
  now: number;
  onCancel: (force: boolean) => void;
}) {
  const { t } = useTranslation('runs');
  if (stopping === null) {
    return (
      <button type="button" className="btn bad" onClick={() => onCancel(false)}>
        <Icon name="stop" small />
        {t('action.cancel', { ns: 'common' })}
      </button>
    );
  }
  return (
    <>
      <span className="dim" role="status">
        {t('head.stopping', { time: duration(Math.max(now - stopping, 0)) })}
      </span>
      <button type="button" className="btn bad" onClick={() => onCancel(true)}>
        {t('head.force')}
      </button>
    </>
  );
}

interface RepeatProps {
  failedStep: string | null;
  busy: boolean;
  onRepeat: (from: string | null) => void;
  onDialog: (from: string | null) => void;
}

function RepeatButton({ failedStep, busy, onRepeat, onDialog }: RepeatProps) {
  const { t } = useTranslation('runs');
  const [open, setOpen] = useState(false);
  const choose = (act: () => void): void => {
    setOpen(false);
    act();
  };
  return (
    <div className="split" onKeyDown={(event) => event.key === 'Escape' && setOpen(false)} role="presentation">
      <button type="button" className="btn go" disabled={busy} onClick={() => onRepeat(failedStep)}>
        <Icon name="retry" small />
        {failedStep ? t('head.repeat_from', { step: failedStep }) : t('head.repeat')}
      </button>
      <button
        type="button"
        className="btn go"
        aria-label={t('head.repeat_more')}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="chevd" small />
      </button>
      {open && (
        <div className="popover">
          {failedStep && (
            <button type="button" className="btn quiet" onClick={() => choose(() => onRepeat(null))}>
              {t('head.repeat_all')}
            </button>
          )}
          <button type="button" className="btn quiet" onClick={() => choose(() => onDialog(failedStep))}>
            {t('head.repeat_corrected')}
          </button>
          <button type="button" className="btn quiet" onClick={() => choose(() => onDialog(null))}>
            {t('head.repeat_other')}
          </button>
        </div>
      )}
    </div>
  );
}
