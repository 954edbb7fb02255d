/** Colours of a terminal as spans; whatever else would steer a terminal is left out. */

export interface Span {
  text: string;
  className: string;
}

const COLOURS: Record<number, string> = {
  31: 't-err',
  91: 't-err',
  32: 't-ok',
  92: 't-ok',
  33: 't-warn',
  93: 't-warn',
  34: 't-run',
  94: 't-run',
  35: 't-wait',
  95: 't-wait',
  36: 't-run',
  96: 't-run',
  90: 'muted',
};
const ESC = String.fromCharCode(27);
const CODES = new RegExp(`${ESC}\\[([0-9;]*)m`);
const OTHERS = new RegExp(
  `${ESC}(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^${String.fromCharCode(7)}]*${String.fromCharCode(7)}?|.)`,
  'g',
);

function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 32 && code !== 9) || code === 127) return false;
  }
  return true;
}

function cleaned(text: string): string {
  const shown = text.replace(OTHERS, '');
  return isPlain(shown) ? shown : [...shown].filter((letter) => isPlain(letter)).join('');
}

export function spansOf(text: string): Span[] {
  if (isPlain(text)) return [{ text, className: '' }];
  const parts = text.split(CODES); // text, codes, text, codes, …
  let className = '';
  return parts.flatMap((part, index) => {
    if (index % 2 === 0) {
      const shown = cleaned(part);
      return shown ? [{ text: shown, className }] : [];
    }
    for (const code of (part || '0').split(';').map(Number)) {
      if (code === 0 || code === 39) className = '';
      else className = COLOURS[code] ?? className;
    }
    return [];
  });
}

export interface Piece extends Span {
  hit: boolean;
}

/** The spans, cut where the searched text begins and ends. */
export function piecesOf(text: string, query: string): Piece[] {
  const wanted = query.toLowerCase();
  return spansOf(text).flatMap((span) => {
    if (!wanted) return [{ ...span, hit: false }];
    const pieces: Piece[] = [];
    const where = span.text.toLowerCase();
    let at = 0;
    for (let found = where.indexOf(wanted); found >= 0; found = where.indexOf(wanted, at)) {
      if (found > at) pieces.push({ ...span, text: span.text.slice(at, found), hit: false });
      pieces.push({ ...span, text: span.text.slice(found, found + wanted.length), hit: true });
      at = found + wanted.length;
    }
    if (at < span.text.length) pieces.push({ ...span, text: span.text.slice(at), hit: false });
    return pieces;
  });
}
