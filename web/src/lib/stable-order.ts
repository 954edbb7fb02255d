import { useLayoutEffect, useState, type RefObject } from 'react';

/** Rows in the order they come, but never moved while the pointer or the focus is among them. */
export function useStableOrder<Row>(rows: Row[], keyOf: (row: Row) => string, box: RefObject<HTMLElement | null>): Row[] {
  const keys = rows.map(keyOf).join('\n');
  const [order, setOrder] = useState(keys);
  useLayoutEffect(() => {
    const around = box.current;
    const held = around !== null && (around.contains(document.activeElement) || around.matches(':hover'));
    // Where the pointer is can be asked only after the rows are drawn.
    // oxlint-disable-next-line react/set-state-in-effect
    if (!held) setOrder(keys);
  }, [keys, box]);
  const place = new Map(order.split('\n').map((key, at) => [key, at]));
  const at = (row: Row): number => place.get(keyOf(row)) ?? Number.MAX_SAFE_INTEGER;
  return rows.toSorted((a, b) => at(a) - at(b));
}
