import { ICONS, type IconName } from './icons';

interface Props {
  name: IconName;
  small?: boolean;
  className?: string;
}

/** Always beside a word or within a control that has a name: an icon alone says nothing to a screen reader. */
export function Icon({ name, small, className }: Props) {
  const classes = ['ic', small && 'ic-s', name === 'play' && 'solid', className].filter(Boolean).join(' ');
  return (
    <svg className={classes} viewBox="0 0 20 20" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}
