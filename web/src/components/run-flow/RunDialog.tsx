import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Schemas } from '@/api/client';
import type { FlowRow } from '@/api/flows';
import { Dialog } from '@/components/ui/Dialog';
import { Icon } from '@/components/ui/Icon';
import { PanelError, Skeleton } from '@/components/ui/Panel';

import { InputFields, readFields, type Field } from './InputFields';
import { useRunFlow } from './useRunFlow';

type Detail = Schemas['FlowDetail'];
type Asked = Pick<FlowRow, 'slug' | 'name' | 'needs_inputs'>;

/** `ask(flow)` runs a flow at once when it needs no input, and asks for its inputs when it does. */
export function useRunDialog(onStarted?: (run: { id: string; number: number }, slug: string) => void): {
  ask: (flow: Asked, withInputs?: boolean) => void;
  busy: string | null;
  dialog: ReactNode;
} {
  const [asked, setAsked] = useState<Asked | null>(null);
  const { run, busy } = useRunFlow(onStarted);
  const ask = (flow: Asked, withInputs = false): void => {
    if (flow.needs_inputs || withInputs) setAsked(flow);
    else void run(flow.slug);
  };
  const dialog = asked && (
    <RunDialog
      flow={asked}
      onClose={() => setAsked(null)}
      onRun={(inputs) => {
        setAsked(null);
        void run(asked.slug, inputs);
      }}
    />
  );
  return { ask, busy, dialog };
}

interface Props {
  flow: Asked;
  onClose: () => void;
  onRun: (inputs: Record<string, unknown>) => void;
}

function RunDialog({ flow, onClose, onRun }: Props) {
  const { t } = useTranslation(['flows', 'common']);
  const [faults, setFaults] = useState<Record<string, string>>({});
  const { data, error, refetch } = useQuery({
    queryKey: ['flow', flow.slug],
    queryFn: () => answer<Detail>(api.GET('/api/v1/flows/{slug}', { params: { path: { slug: flow.slug } } })),
  });
  const schema = (data?.current.document.inputs ?? {}) as { properties?: Record<string, Field>; required?: string[] };
  const fields = Object.entries(schema.properties ?? {});

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const { values, broken } = readFields(new FormData(event.currentTarget), fields);
    setFaults(broken);
    const first = Object.keys(broken)[0];
    if (first === undefined) onRun(values);
    else event.currentTarget.querySelector<HTMLElement>(`[name="${CSS.escape(first)}"]`)?.focus();
  }

  return (
    <Dialog title={t('common:palette.run_flow', { name: flow.name })} onClose={onClose}>
      {error && <PanelError error={error} retry={() => void refetch()} />}
      {!data && !error && (
        <div className="dialog-b">
          <Skeleton rows={3} height={40} />
        </div>
      )}
      {data && (
        <form className="form" noValidate onSubmit={submit}>
          <InputFields fields={fields} required={schema.required ?? []} faults={faults} />
          <div className="dialog-f">
            <button type="button" className="btn" onClick={onClose}>
              {t('common:action.cancel')}
            </button>
            <button type="submit" className="btn go">
              <Icon name="play" small />
              {t('common:action.run')}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
