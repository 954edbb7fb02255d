import { useId, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { Dialog } from '@/components/ui/Dialog';
import { Icon } from '@/components/ui/Icon';
import { folded } from '@/lib/format';

export interface Choice {
  value: string;
  title: string;
  hint?: string | undefined;
  group: string;
}

interface Props {
  title: string;
  choices: Choice[];
  onPick: (choice: Choice) => void;
  onClose: () => void;
}

const SHOWN = 60;

/** One of many, found by typing: actions to add, data to use. */
export function PickDialog({ title, choices, onPick, onClose }: Props) {
  const { t } = useTranslation('editor');
  const list = useId();
  const [query, setQuery] = useState('');
  const [place, setPlace] = useState(0);
  const words = folded(query).split(/\s+/).filter(Boolean);
  const found = choices
    .filter((choice) => {
      const text = folded(`${choice.value} ${choice.title} ${choice.group} ${choice.hint ?? ''}`);
      return words.every((word) => text.includes(word));
    })
    .slice(0, SHOWN);
  const current = Math.min(place, found.length - 1);
  function press(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setPlace((current + step + found.length) % Math.max(found.length, 1));
    else if (event.key === 'Enter' && found[current]) onPick(found[current]);
    else return;
    event.preventDefault();
  }
  return (
    <Dialog title={title} onClose={onClose} className="pick">
      <div className="palette-in">
        <Icon name="search" small />
        <input
          role="combobox"
          aria-expanded
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={found[current] ? `${list}-${current}` : undefined}
          aria-label={title}
          placeholder={t('pick.search')}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setPlace(0);
          }}
          onKeyDown={press}
        />
      </div>
      <div className="palette-list" role="listbox" id={list} aria-label={title}>
        {found.map((choice, index) => (
          // The keyboard chooses from the field above, as a combobox does.
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
          <div
            key={choice.value}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === current}
            ref={(row) => {
              if (index === current) row?.scrollIntoView({ block: 'nearest' });
            }}
            onClick={() => onPick(choice)}
          >
            <span className="grow">
              <b className="mono">{choice.value}</b> <span className="dim">{choice.title}</span>
              {choice.hint && <small className="muted trunc">{choice.hint}</small>}
            </span>
            <span className="tag">{choice.group}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="muted">{t('pick.none')}</p>}
    </Dialog>
  );
}
