/// <reference lib="webworker" />
import { LiveSource, type FromSource, type ToSource } from './live-source';

// One connection for all tabs of this browser: each tab is a port.
const scope = globalThis as unknown as SharedWorkerGlobalScope;
let source: LiveSource | null = null;
const ports = new Map<MessagePort, string[]>();

const send = (message: FromSource): void => {
  for (const port of ports.keys()) port.postMessage(message);
};

scope.onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<ToSource>) => {
    if (data.kind === 'bye') ports.delete(port);
    else ports.set(port, data.topics);
    if (data.kind === 'topics') {
      source ??= new LiveSource(data.url, send);
      if (source.state !== 'connecting') port.postMessage({ kind: 'state', state: source.state });
    }
    source?.want([...ports.values()].flat());
  };
};
