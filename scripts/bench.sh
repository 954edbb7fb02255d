#!/usr/bin/env bash
# Our figures beside the peers', measured in turn. Names: see docs/reference/benchmarks.md; all without one.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m benchmarks.run "$@"
