/** Runs as the API gives them: its routes answer plain JSON that OpenAPI does not describe. */

export interface RunError {
  type: string;
  message: string;
  traceback?: string;
  step?: string;
  details?: unknown;
}

/** A run as lists show it. */
export interface RunBrief {
  id: string;
  number: number;
  flow: string;
  version: number;
  status: string;
  reason: string | null;
  trigger: { type: string };
  labels: Record<string, string>;
  error: RunError | null;
  parent: { run: string; step: string } | null;
  repeat_of: string | null;
  actor: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface Run extends RunBrief {
  trigger: { type: string; id?: string; run?: string; actor?: string | null };
  inputs: Record<string, unknown>;
  outputs: unknown;
}

export interface Attempt {
  attempt: number;
  token: number;
  status: string;
  worker: string | null;
  error: RunError | null;
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface Step {
  key: string;
  status: string;
  reason: string | null;
  attempt: number;
  output: unknown;
  output_bytes: number | null;
  error: RunError | null;
  items: { total: number; begun: number; live: number; failed: number } | null;
  child_run: string | null;
  reused_from: string | null;
  wake_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  attempts: Attempt[];
}

export interface Named {
  id: string;
  number: number;
}

export type ChangedWhat = 'inputs' | 'outputs' | 'flow' | 'modules' | 'worker';

export interface Changed {
  what: ChangedWhat;
  path: string;
  kind: 'added' | 'removed' | 'changed' | 'moved';
  before: unknown;
  after: unknown;
}

export interface Cause {
  step: string | null;
  type: string;
  message: string;
  place: { file: string; line: number; function: string | null } | null;
  same_in_a_row: number;
  changes: Changed[];
  more_changes: number;
  unchanged: ChangedWhat[];
}

export interface Background {
  typical_ms: number | null;
  previous: Named | null;
  next: Named | null;
  repeats: (Named & { status: string })[];
  repeat_of: Named | null;
  last_good: (Named & { version: number }) | null;
  cause: Cause | null;
}

export interface Why {
  status: string;
  sentence: string;
  parts: { step: string | null; code: string; sentence: string; wake_at?: string | null; limit?: number }[];
}

export interface LogLine {
  /** Its number in the log that was asked for. */
  n: number;
  /** Its number in the attempt's own log. */
  line: number;
  at: string;
  step: string;
  attempt: number;
  level: string;
  stream: string;
  text: string;
  fields: Record<string, unknown>;
}

export interface LogIndex {
  lines: number;
  bytes: number;
  levels: Record<string, number>;
  errors: number[];
}

export interface Artifact {
  name: string;
  step: string;
  attempt: number;
  content_type: string;
  size: number;
  sha256: string;
  created_at: string;
}

export interface Listed<Item> {
  items: Item[];
  next: string | null;
  total?: number;
  total_at_least?: number;
}

const ENDED = new Set(['succeeded', 'failed', 'cancelled', 'skipped', 'timed_out', 'crashed']);
const BROKEN = new Set(['failed', 'timed_out', 'crashed']);

export const hasEnded = (run: { status: string }): boolean => ENDED.has(run.status);
export const isBroken = (run: { status: string }): boolean => BROKEN.has(run.status);
