import { useMinute, useSecond } from '@/lib/clock';
import { fullInstant, nextTime, relative, when } from '@/lib/format';

/** `há 32 min`; the whole instant with its zone on hover. */
export function Ago({ at }: { at: string }) {
  const young = Math.abs(useMinute() - Date.parse(at)) < 90_000;
  return young ? <Seconds at={at} /> : <Minutes at={at} />;
}

function Seconds({ at }: { at: string }) {
  const now = useSecond();
  return <Shown at={at} text={relative(at, now)} />;
}

function Minutes({ at }: { at: string }) {
  const now = useMinute();
  return <Shown at={at} text={relative(at, now)} />;
}

/** `hoje, 09:30`. */
export function When({ at }: { at: string }) {
  return <Shown at={at} text={when(at)} />;
}

/** `10:30`, or `amanhã, 10:30`. */
export function NextTime({ at }: { at: string }) {
  return <Shown at={at} text={nextTime(at)} />;
}

function Shown({ at, text }: { at: string; text: string }) {
  return (
    <time dateTime={at} title={fullInstant(at)}>
      {text}
    </time>
  );
}
