export type Strength = 'short' | 'fair' | 'good' | 'strong';

const LEAST = 10;

/** A hint while somebody types: length counts most, kinds of characters a little. The server decides. */
export function strengthOf(password: string): Strength {
  if (password.length < LEAST) return 'short';
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(password)).length;
  const varied = new Set(password).size;
  const score = password.length + kinds * 2 + Math.min(varied, 12);
  if (score < 26) return 'fair';
  return score < 36 ? 'good' : 'strong';
}
