/** The spans of time that filters offer, in milliseconds. */
export const SPANS = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000, month: 30 * 86_400_000 } as const;
export type Span = keyof typeof SPANS;

export const SPAN_NAMES = Object.keys(SPANS) as Span[];

/** The instant that long ago, as the API takes it; undefined when `span` is none. */
export function since(span: string): string | undefined {
  const length: number | undefined = SPANS[span as Span];
  return length === undefined ? undefined : new Date(Date.now() - length).toISOString();
}
