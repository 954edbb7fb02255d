#!/usr/bin/env bash
# Builds the dashboard into web/dist, unless what is there was made from these very sources.
# Without Node the platform starts all the same, with its API and without the dashboard.
set -euo pipefail
cd "$(dirname "$0")/../web"
needs="20.19"
sources() {
  find . \( -name node_modules -o -name dist -o -name shots -o -name e2e -o -name __pycache__ \) -prune -o -type f -print0 \
    | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}
lock() { sha256sum package-lock.json .npmrc | sha256sum | cut -d' ' -f1; }
now=$(sources)
[ "$(cat dist/.sources 2>/dev/null || true)" = "$now" ] && exit 0

found=$(node --version 2>/dev/null | tr -d v || true)
if [ -z "$found" ] || [ "$(printf '%s\n' "$needs" "$found" | sort -V | head -1)" != "$needs" ] || ! command -v npm >/dev/null; then
  echo "The dashboard is not built: that needs Node $needs or newer with npm (here: ${found:-none})." >&2
  if [ "${1:-}" = "--if-possible" ]; then
    [ -f dist/index.html ] && echo "An older build of it is served." >&2 || echo "The API and the command line work without it." >&2
    exit 0
  fi
  exit 1
fi
if [ "$(cat node_modules/.lock 2>/dev/null || true)" != "$(lock)" ]; then
  echo "Installing what builds the dashboard (once)…" >&2
  npm ci --no-fund --no-audit --loglevel=error >&2
  lock >node_modules/.lock
fi
npm run --silent build >&2
echo "$now" >dist/.sources
