import { folded } from './format';

/** How well `query` finds `text`: null when it does not, more for starts of words and for runs of letters. */
export function score(query: string, text: string): number | null {
  const wanted = folded(query).replace(/\s+/g, ' ').trim();
  if (!wanted) return 0;
  const where = folded(text);
  const whole = where.indexOf(wanted);
  if (whole === 0) return 1000 - where.length;
  if (whole > 0) return (/[\s\-_/·.]/.test(where[whole - 1] ?? '') ? 800 : 600) - where.length;
  let found = 0;
  let place = 0;
  let before = -2;
  for (const letter of wanted) {
    if (letter === ' ') continue;
    const at = where.indexOf(letter, place);
    if (at < 0) return null;
    found += at === before + 1 ? 12 : /[\s\-_/·.]/.test(where[at - 1] ?? ' ') ? 10 : 1;
    before = at;
    place = at + 1;
  }
  return found - where.length / 10;
}
