"""Shows that the import contracts turn red: each forbidden import, put in a copy of the tree, must be caught.

A guard that never fires guards nothing. `--all` tries every row on its own; by default all forbidden imports
are put in together and each contract named must be among the broken ones.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
S = "server/monjolo"
PROBES = [  # file, import, contract that must break
    (f"{S}/engine/decide.py", "import time", "The engine is pure"),
    (f"{S}/engine/decide.py", "from monjolo.kit import ids", "The engine is pure"),
    (f"{S}/engine/types.py", "from monjolo.engine import decide", "No cycles anywhere"),
    (f"{S}/worker/runner.py", "from monjolo.storage import sqlite", "The worker never reaches the database or the API"),
    (f"{S}/worker/runner.py", "from monjolo.domains.runs import service", "Server layers point down only"),
    (f"{S}/domains/runs/service.py", "from monjolo.worker import runner", "Server layers point down only"),
    (f"{S}/domains/users/service.py", "from monjolo.domains.runs import service", "Domains point down only"),
    (f"{S}/domains/runs/service.py", "from monjolo.broker import memory", "Only bootstrap picks the adapters"),
    (f"{S}/domains/runs/service.py", "from monjolo import settings",
     "Only bootstrap, processes and the commands that start or repair read settings"),
    ("sdk/python/monjolo_sdk/wire.py", "from monjolo.engine import types", "The SDK stands alone"),
    ("modules/core/module.py", "from monjolo.engine import types", "Modules know the SDK only"),
    ("modules/core/module.py", "from modules.git import module", "Modules do not know each other"),
]  # fmt: skip


def broken(tree: pathlib.Path) -> set[str]:
    env = {"PYTHONPATH": "server:sdk/python:.", "PATH": "/usr/bin:/bin"}
    command = [str(ROOT / ".venv/bin/lint-imports"), "--no-cache", "--config", ".importlinter"]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
    return {line.removesuffix(" BROKEN").strip() for line in done.stdout.splitlines() if line.endswith(" BROKEN")}


def main() -> int:
    rows = [[probe] for probe in PROBES] if "--all" in sys.argv else [PROBES]
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in ("server", "sdk", "modules"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / ".importlinter", tree)
        for group in rows:
            kept = {file: (tree / file).read_text() for file, _, _ in group}
            for file, line, _ in group:
                with (tree / file).open("a") as out:
                    out.write(f"\n{line}\n")
            red = broken(tree)
            missed += [f"{file} + {line!r} did not break {name!r}" for file, line, name in group if name not in red]
            for file, text in kept.items():
                (tree / file).write_text(text)
    for line in missed:
        sys.stderr.write(f"probe: {line}\n")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
