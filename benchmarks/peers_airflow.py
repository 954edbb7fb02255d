"""The peer Airflow: its API server, scheduler with the LocalExecutor and processor of DAG files, on SQLite."""

from __future__ import annotations

import datetime
import json
import secrets
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from types import TracebackType
from typing import Any

from benchmarks.peers import PROGRAMS, Installed, free_port

REQUIREMENTS = ("apache-airflow==3.3.*",)
PATIENCE_SECONDS = 240.0
POLL_SECONDS = 0.05
DAGS = {"bench-nothing", "bench-now", "bench-fib-40-10"}


class Airflow(Installed):
    """`with Airflow() as airflow:` runs it; at the end it is stopped and its data removed."""

    name = "airflow"

    def __init__(self) -> None:
        super().__init__(self.name, *REQUIREMENTS)
        port = free_port()
        self._api = f"http://127.0.0.1:{port}"
        self._token = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.environment |= {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._api}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder / 'airflow.db'}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    def __enter__(self) -> Airflow:
        try:
            dags = self.folder / "dags"
            dags.mkdir()
            (dags / "bench.py").write_text((PROGRAMS / "airflow_dags.py").read_text())
            migrate = [str(self._python), "-m", "airflow", "db", "migrate"]
            subprocess.run(migrate, env=self.environment, cwd=self.folder, check=True, capture_output=True)
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Seconds until the API answers, the scheduler's heart beats, and every DAG is known."""
        wall, began = time.time(), time.perf_counter()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._python), str(PROGRAMS / "airflow_up.py")],
                env=self.environment, cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip
        while time.perf_counter() - began < PATIENCE_SECONDS:
            if self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text()[-1000:])
            try:
                if self._ready(wall):
                    return time.perf_counter() - began
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(POLL_SECONDS)
        raise RuntimeError("Airflow did not become ready")

    def _ready(self, since: float) -> bool:
        self._token = self._call("GET", "/auth/token")["access_token"]
        beat = self._call("GET", "/api/v2/monitor/health")["scheduler"]["latest_scheduler_heartbeat"]
        if beat is None or datetime.datetime.fromisoformat(beat).timestamp() < since:
            return False
        return {dag["dag_id"] for dag in self._call("GET", "/api/v2/dags")["dags"]} >= DAGS

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(90)

    def throughput(self, count: int) -> float:
        """DAG runs of one task a second."""
        began = time.perf_counter()
        self._ended("bench-nothing", [self._begin("bench-nothing") for _ in range(count)])
        return count / (time.perf_counter() - began)

    def latency(self, count: int, pause: float) -> dict[str, Any]:
        late = []
        for _ in range(count):
            time.sleep(pause)
            sent = time.time()
            run = self._begin("bench-now")
            self._ended("bench-now", [run])
            said = self._call("GET", f"{_path('bench-now', run)}/taskInstances/now/xcomEntries/return_value")
            late.append(float(said["value"]) - sent)
        late.sort()
        return {"p50_ms": late[len(late) // 2] * 1000, "p99_ms": late[int(len(late) * 0.99)] * 1000}

    def sequence(self, steps: int, n: int) -> float:
        """Seconds of a DAG whose tasks follow one another."""
        dag = f"bench-fib-{steps}-{n}"
        began = time.perf_counter()
        self._ended(dag, [self._begin(dag)])
        return time.perf_counter() - began

    def _begin(self, dag: str) -> str:
        return str(self._call("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])

    def _ended(self, dag: str, runs: list[str]) -> None:
        """Until each has; every one must succeed."""
        until = time.monotonic() + PATIENCE_SECONDS
        for run in runs:
            while (state := self._call("GET", _path(dag, run))["state"]) != "success":
                if state == "failed" or time.monotonic() > until:
                    raise RuntimeError(f"{dag} is {state}")
                time.sleep(POLL_SECONDS)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self._api}{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def _path(dag: str, run: str) -> str:
    return f"/api/v2/dags/{dag}/dagRuns/{urllib.parse.quote(run)}"
