#!/usr/bin/env bash
# Real faults on the real platform: SCALE=0.1 is a tenth of the nightly numbers, SCALE=1 all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m tests.chaos --scale "${SCALE:-0.1}" ${SEED:+--seed "$SEED"} ${ONLY:+--only "$ONLY"}
