export function Logo() {
  return (
    <svg viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <path className="b" d="M3.4 11.6 28.2 5" strokeWidth="4.2" strokeLinecap="round" />
      <path className="b" d="M15.8 8.6v19.2" strokeWidth="4.2" strokeLinecap="round" />
      <path className="b" d="M26 6v12.4" strokeWidth="4.6" strokeLinecap="round" />
      <path className="m" d="M20.6 23.6h10.8c0 4-2.2 6.3-5.4 6.3s-5.4-2.3-5.4-6.3z" />
      <path className="w" d="M5.6 15.4c2.9 3.6 4.4 6.3 4.4 8.7a4.4 4.4 0 0 1-8.8 0c0-2.4 1.5-5.1 4.4-8.7z" />
    </svg>
  );
}
