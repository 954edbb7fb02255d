import { beforeAll } from 'vitest';

import { speak } from '@/i18n';

globalThis.matchMedia ??= ((query: string) => ({
  matches: false,
  media: query,
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
})) as unknown as typeof matchMedia;

beforeAll(() => speak('pt-BR'));
