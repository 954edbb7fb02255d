import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';

import { actionQuery } from '../api';
import { earlierSteps, type Picture } from '../picture';
import { sourcesFor, type Source } from './sources';

/** What a step can read, with the fields of the outputs that earlier steps' actions describe. */
export function useSources(picture: Picture, key: string): Source[] {
  const uses = useMemo(() => {
    const all = earlierSteps(picture, key).map((step) => step.value.uses);
    return [...new Set(all.filter((name): name is string => typeof name === 'string'))];
  }, [picture, key]);
  const outputs = useQueries({
    queries: uses.map((name) => actionQuery(name)),
    combine: (answers) => Object.fromEntries(uses.map((name, index) => [name, answers[index]?.data?.outputs])),
  });
  return useMemo(() => sourcesFor(picture, key, outputs), [picture, key, outputs]);
}
