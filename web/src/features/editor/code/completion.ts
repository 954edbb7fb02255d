import type { CompletionContext, CompletionResult, CompletionSource } from '@codemirror/autocomplete';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { actionsQuery, type ActionSummary } from '../api';
import { sourcesFor } from '../form/sources';
import type { Picture } from '../picture';

export interface Completion {
  source: CompletionSource;
  learn: (actions: ActionSummary[]) => void;
  see: (picture: Picture | null, selected: string | null) => void;
}

function completion(): Completion {
  const known: Known = { actions: [], picture: null, selected: null };
  return {
    source: (context) => complete(context, known),
    learn: (actions) => void Object.assign(known, { actions }),
    see: (picture, selected) => void Object.assign(known, { picture, selected }),
  };
}

/** Completes actions behind `uses:` and what can be read within an expression. */
export function useCompletion(): Completion {
  const { data } = useQuery(actionsQuery);
  const [own] = useState(completion);
  useEffect(() => own.learn(data ?? []), [own, data]);
  return own;
}

interface Known {
  actions: ActionSummary[];
  picture: Picture | null;
  selected: string | null;
}

function complete(context: CompletionContext, { actions, picture, selected }: Known): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const uses = /\buses:\s*["']?([\w@./-]*)$/.exec(before);
  if (uses) {
    const options = actions.map(({ uses: label, title }) => ({ label, detail: title, type: 'function' }));
    return { from: context.pos - (uses[1] ?? '').length, options, validFor: /^[\w@./-]*$/ };
  }
  const expression = /\$\{\{\s*(?:[^}]*[^\w.])?([\w.]*)$/.exec(before) ?? /\b(?:if|when):\s*["']?([\w.]*)$/.exec(before);
  if (!expression || !picture) return null;
  const options = sourcesFor(picture, selected).map(({ value: label, title: detail }) => ({ label, detail, type: 'variable' }));
  return { from: context.pos - (expression[1] ?? '').length, options, validFor: /^[\w.]*$/ };
}
