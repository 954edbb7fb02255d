import type { catalogue } from './pt-BR';

// Portuguese is the source: a key that it lacks does not compile. scripts/guards.mjs holds the others to it.
declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'common';
    resources: typeof catalogue;
  }
}
