#!/usr/bin/env bash
# Our figures beside Celery's and DBOS's, measured in turn. Names: throughput latency fanout sequence footprint.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m benchmarks.run "$@"
