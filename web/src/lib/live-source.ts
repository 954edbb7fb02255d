/** The stream of live events, wherever it runs: opened again with other topics, resumed after a break. */

export interface LiveEvent {
  topic: string;
  kind: string;
  data: Record<string, unknown>;
}

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'polling' | 'closed';

export type ToSource = { kind: 'topics'; url: string; topics: string[] } | { kind: 'bye' };

/** `missed` tells that events may have been lost: what is shown must be asked for again. */
export type FromSource =
  | { kind: 'event'; event: LiveEvent }
  | { kind: 'state'; state: LiveState }
  | { kind: 'missed' };

const KINDS = ['run.created', 'run.updated', 'run.finished', 'step.updated', 'log', 'step.progress', 'lagged'];
const QUIET_MS = 3_000; // a break shorter than this is nobody's business
const POLL_AFTER_MS = 20_000;
const POLL_EVERY_MS = 5_000;
const REFUSED_RETRY_MS = 2_000;

export class LiveSource {
  state: LiveState = 'connecting';
  private stream: EventSource | null = null;
  private topics = '';
  private lastId = '';
  private broken = false;
  private timers: ReturnType<typeof setTimeout>[] = [];

  constructor(
    private readonly url: string,
    private readonly tell: (message: FromSource) => void,
  ) {}

  want(topics: string[]): void {
    const wanted = [...new Set(topics)].toSorted().join(',');
    if (wanted === this.topics) return;
    this.topics = wanted;
    this.open();
  }

  private open(): void {
    this.stream?.close();
    this.stream = null;
    if (!this.topics) return;
    const query = new URLSearchParams({ topics: this.topics });
    if (this.lastId) query.set('last_event_id', this.lastId);
    const stream = new EventSource(`${this.url}?${query}`);
    this.stream = stream;
    stream.onopen = () => this.opened();
    stream.onerror = () => this.failed(stream);
    for (const kind of KINDS) stream.addEventListener(kind, (event) => this.arrived(kind, event as MessageEvent<string>));
  }

  private opened(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers = [];
    this.change('live');
    // The server may have begun anew and count from one: a snapshot is certain, a cursor is not.
    if (this.broken) this.tell({ kind: 'missed' });
    this.broken = false;
  }

  private failed(stream: EventSource): void {
    if (stream !== this.stream) return;
    if (!this.broken) {
      this.broken = true;
      this.after(QUIET_MS, () => this.change('reconnecting'));
      this.after(POLL_AFTER_MS, () => this.poll());
    }
    // The browser tries again by itself after a break, but not after a refusal.
    if (stream.readyState === EventSource.CLOSED) {
      this.lastId = '';
      this.after(REFUSED_RETRY_MS, () => this.open());
    }
  }

  private poll(): void {
    this.change('polling');
    this.tell({ kind: 'missed' });
    this.after(POLL_EVERY_MS, () => this.poll());
  }

  private arrived(kind: string, message: MessageEvent<string>): void {
    if (message.lastEventId) this.lastId = message.lastEventId;
    if (kind === 'lagged') {
      this.tell({ kind: 'missed' });
      return;
    }
    const data = JSON.parse(message.data) as Record<string, unknown>;
    this.tell({ kind: 'event', event: { topic: String(data.topic ?? ''), kind, data } });
  }

  private change(state: LiveState): void {
    if (state === this.state) return;
    this.state = state;
    this.tell({ kind: 'state', state });
  }

  private after(ms: number, act: () => void): void {
    this.timers.push(setTimeout(act, ms));
  }
}
