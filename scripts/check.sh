#!/usr/bin/env bash
# Format, lint, types, arrows of import, purity of the engine; and the probe: forbidden imports must turn red.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
export PYTHONPATH=server:sdk/python:.
"$bin/ruff" format --check --quiet .
"$bin/ruff" check --quiet .
"$bin/mypy" --no-error-summary
"$bin/lint-imports" --no-cache >/tmp/arrows.$$ 2>&1 || { cat /tmp/arrows.$$; rm -f /tmp/arrows.$$; exit 1; }
rm -f /tmp/arrows.$$
"$bin/python" scripts/engine_purity.py server/monjolo/engine
"$bin/python" scripts/probe.py
echo "check: format, types, arrows and their probe hold"
