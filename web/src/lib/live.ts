/** Live events for components: one connection for the browser, shared between tabs where SharedWorker exists. */

import { useEffect, useRef, useSyncExternalStore } from 'react';

import { apiUrl } from './base';
import { LiveSource, type FromSource, type LiveEvent, type LiveState, type ToSource } from './live-source';

type OnEvent = (event: LiveEvent) => void;

const wishes = new Map<symbol, { topics: string[]; onEvent: OnEvent; onMissed: () => void }>();
const stateListeners = new Set<() => void>();
let state: LiveState = 'connecting';
let post: ((message: ToSource) => void) | null = null;

function receive(message: FromSource): void {
  if (message.kind === 'state') {
    state = message.state;
    for (const listener of stateListeners) listener();
    return;
  }
  for (const wish of [...wishes.values()]) {
    if (message.kind === 'missed') wish.onMissed();
    else if (wish.topics.includes(message.event.topic)) wish.onEvent(message.event);
  }
}

function connect(): (message: ToSource) => void {
  if (typeof SharedWorker !== 'undefined') {
    const worker = new SharedWorker(new URL('./live.worker.ts', import.meta.url), { type: 'module', name: 'monjolo' });
    worker.port.addEventListener('message', ({ data }: MessageEvent<FromSource>) => receive(data));
    worker.port.start();
    window.addEventListener('pagehide', () => worker.port.postMessage({ kind: 'bye' } satisfies ToSource));
    window.addEventListener('pageshow', (event) => event.persisted && announce());
    return (message) => worker.port.postMessage(message);
  }
  let source: LiveSource | null = null;
  return (message) => {
    if (message.kind === 'bye') return;
    source ??= new LiveSource(message.url, receive);
    source.want(message.topics);
  };
}

function announce(): void {
  if (typeof EventSource === 'undefined') return; // no browser: there is nothing live in a test of one component
  post ??= connect();
  const topics = [...new Set([...wishes.values()].flatMap((wish) => wish.topics))];
  post({ kind: 'topics', url: new URL(apiUrl('/stream'), location.href).href, topics });
}

/**
 * Events of `topics` (`runs`, `run:ID`, `flow:SLUG`, `system`) while the component is shown.
 * `onMissed` is called when some may have been lost: ask the API again then.
 */
export function useLive(topics: string[], onEvent: OnEvent, onMissed: () => void): void {
  const handlers = useRef({ onEvent, onMissed });
  useEffect(() => {
    handlers.current = { onEvent, onMissed };
  });
  const key = topics.join(',');
  useEffect(() => {
    const name = Symbol(key);
    wishes.set(name, {
      topics: key.split(','),
      onEvent: (event) => handlers.current.onEvent(event),
      onMissed: () => handlers.current.onMissed(),
    });
    announce();
    return () => {
      wishes.delete(name);
      announce();
    };
  }, [key]);
}

export function useLiveState(): LiveState {
  return useSyncExternalStore(
    (listener) => {
      stateListeners.add(listener);
      return () => stateListeners.delete(listener);
    },
    () => state,
  );
}
