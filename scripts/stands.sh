#!/usr/bin/env bash
# Installs the counterparts that integrations are tested against, unless they are what the lock file says.
set -euo pipefail
cd "$(dirname "$0")/../tests/stands"
lock=$(sha256sum package-lock.json | cut -d' ' -f1)
[ "$(cat node_modules/.lock 2>/dev/null || true)" = "$lock" ] && exit 0
npm ci --ignore-scripts --no-fund --no-audit --loglevel=error >&2
npm rebuild node --no-fund --no-audit --loglevel=error >&2  # a newer Node, which the emulator needs
echo "$lock" >node_modules/.lock
