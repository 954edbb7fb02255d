import { folded } from './format';

const STARTS = /[\s\-_/·.]/;

/** How well `query` finds `text`: null when it does not, more for starts of words and for runs of letters. */
export function score(query: string, text: string): number | null {
  const wanted = folded(query).replace(/\s+/g, ' ').trim();
  if (!wanted) return 0;
  const where = folded(text);
  const whole = where.indexOf(wanted);
  if (whole === 0) return 1000 - where.length;
  if (whole > 0) return (STARTS.test(where[whole - 1] ?? '') ? 800 : 600) - where.length;
  return letters(wanted, where, true) ?? letters(wanted, where, false);
}

/** The letters in order; the first of each word at the start of a word where `atStarts`. */
function letters(wanted: string, where: string, atStarts: boolean): number | null {
  let found = 0;
  let place = 0;
  let before = -2;
  for (const [nth, letter] of [...wanted].entries()) {
    if (letter === ' ') continue;
    const begins = nth === 0 || wanted[nth - 1] === ' ';
    const at = atStarts && begins ? startOfWord(where, letter, place) : where.indexOf(letter, place);
    if (at < 0) return null;
    found += at === before + 1 ? 12 : at === 0 || STARTS.test(where[at - 1] ?? '') ? 10 : 1;
    before = at;
    place = at + 1;
  }
  return found - where.length / 10 + (atStarts ? 20 : 0);
}

function startOfWord(where: string, letter: string, place: number): number {
  let at = where.indexOf(letter, place);
  while (at > 0 && !STARTS.test(where[at - 1] ?? '')) at = where.indexOf(letter, at + 1);
  return at;
}
