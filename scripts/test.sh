#!/usr/bin/env bash
# Every test of the project, on two processes. What needs the system's own tools is named before anything runs.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
for tool in git tar zstd chromium node npm; do command -v "$tool" >/dev/null || missing+=("$tool"); done
if [ ${#missing[@]} -gt 0 ]; then
  echo "make test needs ${missing[*]}. On Debian: apt-get install ${missing[*]/node/nodejs}" >&2
  exit 1
fi
scripts/stands.sh
unset PYTHONDONTWRITEBYTECODE PYTHONPATH
if [ $# -eq 0 ]; then
  (cd web && npm run --silent check && npm test --silent)
  .venv/bin/python scripts/web_types.py --check
fi
exec .venv/bin/pytest -n 2 --dist loadgroup --durations=15 "$@"
