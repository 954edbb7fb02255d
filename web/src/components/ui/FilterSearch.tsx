import { useEffect, useState } from 'react';

import { useKeys } from '@/lib/keys';

import { Icon } from './Icon';

const TYPED_MS = 300;

interface Props {
  id: string;
  label: string;
  /** What the address says; an empty text is no filter. */
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}

/** The text of a filter bar: `/` leads to it, and it acts when the typing pauses. */
export function FilterSearch({ id, label, value, onChange }: Props) {
  const [typed, setTyped] = useState(value ?? '');
  const [seen, setSeen] = useState(value);
  if (seen !== value) {
    setSeen(value);
    setTyped(value ?? '');
  }
  useEffect(() => {
    if (typed === (value ?? '')) return undefined;
    const timer = setTimeout(() => onChange(typed || undefined), TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed, value, onChange]);
  useKeys({ '/': () => document.getElementById(id)?.focus() });
  return (
    <label className="find-in">
      <Icon name="search" small />
      <span className="sr">{label}</span>
      <input id={id} type="search" value={typed} placeholder={label} onChange={(event) => setTyped(event.target.value)} />
    </label>
  );
}
