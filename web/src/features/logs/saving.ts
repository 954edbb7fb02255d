/** Found lines as a file, made here: it holds what is shown, which is all of it when the search came to its end. */

import type { FoundLine } from './api';

export type FileKind = 'txt' | 'ndjson' | 'ndjson.gz';

export function textOf(lines: FoundLine[], kind: FileKind): string {
  if (kind !== 'txt') return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  return lines
    .map(
      (line) =>
        `${line.at} ${line.flow} #${line.number} ${line.step}#${line.attempt} ${line.level.toUpperCase()} ${line.text}\n`,
    )
    .join('');
}

export async function save(lines: FoundLine[], kind: FileKind): Promise<void> {
  const plain = new Blob([textOf(lines, kind)]);
  const packed = kind.endsWith('.gz')
    ? await new Response(plain.stream().pipeThrough(new CompressionStream('gzip'))).blob()
    : plain;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(packed);
  link.download = `monjolo-logs.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}
