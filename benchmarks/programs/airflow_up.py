"""The peer Airflow as one process to start and to stop: its API server, scheduler and processor of DAG files."""

from __future__ import annotations

import signal
import subprocess
import sys

PARTS = (("api-server", "--workers", "1"), ("scheduler",), ("dag-processor",))

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parts: list[subprocess.Popen[bytes]] = []
    try:
        parts += (subprocess.Popen([sys.executable, "-m", "airflow", *part]) for part in PARTS)
        parts[0].wait()
    finally:
        for part in parts:
            part.terminate()
        for part in parts:
            try:
                part.wait(20)
            except subprocess.TimeoutExpired:
                part.kill()
                part.wait()
