#!/usr/bin/env bash
# Makes the virtual environment from the lock file, with nothing on the machine but Python 3.11+ and pip or venv.
set -euo pipefail
venv=$1; python=${PYTHON:-python3}
unset PYTHONDONTWRITEBYTECODE PYTHONPATH
"$python" - <<'PY' || { echo "Monjolo needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
import sys; sys.exit(sys.version_info < (3, 11))
PY
if ! command -v "$venv/../.tools/bin/uv" >/dev/null 2>&1; then
  "$python" -m venv .tools >/dev/null 2>&1 \
    || "$python" -m pip install -q --disable-pip-version-check --target .tools/lib uv \
    || { echo "This Python has neither venv nor pip. On Debian: apt-get install python3-venv" >&2; exit 1; }
  if [ -x .tools/bin/python ]; then .tools/bin/python -m pip install -q --disable-pip-version-check uv
  else mkdir -p .tools/bin && ln -sf ../lib/bin/uv .tools/bin/uv; fi
fi
uv=.tools/bin/uv
[ -x "$venv/bin/python" ] || "$uv" venv -q --python "$python" "$venv"
"$uv" pip sync -q --python "$venv/bin/python" --compile-bytecode --require-hashes requirements.lock
"$uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e .
# A start must not compile what has not changed, whatever the shell says about bytecode.
"$venv/bin/python" -m compileall -q server sdk modules
