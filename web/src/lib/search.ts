/** What a route takes from the address: anything else than what it knows is as if it were not there. */

export const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value ? value : typeof value === 'number' ? String(value) : undefined;

export const whole = (value: unknown): number | undefined => {
  const found = Number(value);
  return value !== '' && value !== null && Number.isSafeInteger(found) && found >= 0 ? found : undefined;
};

export const oneOf = <Choice extends string>(value: unknown, choices: readonly Choice[]): Choice | undefined =>
  choices.find((choice) => choice === value);
