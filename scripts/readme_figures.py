"""Fills the table of figures in both READMEs from benchmarks/results/*.json; with --check it says if one is old."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from docs_table import table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
_BETWEEN = re.compile(r"(<!-- figures: begin -->\n).*?(<!-- figures: end -->)", re.DOTALL)

# Per page: the columns; what stands where there is no peer, no figure; the line below; met and not met.
_WORDS: dict[str, dict[str, Any]] = {
    "README.md": {
        "columns": ("What was measured", "Monjolo", "Peer", "Ratio", "Goal", "Command"),
        "none": "No figures have been recorded for this version yet.\n",
        "on": "Measured on {machine}; load average {load}; commits {commits}.",
        "absent": "Not measured here: {peers}.",
        "met": "met",
        "missed": "not met",
    },
    "README.pt-BR.md": {
        "columns": ("O que foi medido", "Monjolo", "Outro", "Razão", "Meta", "Comando"),
        "none": "Ainda não há números gravados para esta versão.\n",
        "on": "Medido em {machine}; carga média {load}; commits {commits}.",
        "absent": "Sem medição aqui: {peers}.",
        "met": "alcançada",
        "missed": "não alcançada",
    },
}
_UNITS = {"us": "µs"}
_PEERS = {
    "celery": "Celery",
    "dbos": "DBOS",
    "bare": "bare function",
    "dramatiq": "Dramatiq",
    "taskiq": "Taskiq",
    "procrastinate": "Procrastinate",
    "prefect": "Prefect",
}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: readme_figures.py [--check]\n")
        return 2
    results = newest_results(RESULTS)
    old = []
    for name, words in _WORDS.items():
        page = ROOT / name
        text = page.read_text(encoding="utf-8")
        figures = figures_of(results, words)
        fresh = _BETWEEN.sub(lambda found, figures=figures: f"{found[1]}{figures}{found[2]}", text)  # type: ignore[misc]
        if fresh != text:
            old.append(name)
            if not arguments:
                page.write_text(fresh, encoding="utf-8")
    if old and arguments:
        sys.stderr.write(f"the figures are old, write them again with `make docs`: {', '.join(old)}\n")
        return 1
    sys.stdout.write(f"figures: {len(results)} benchmarks, {len(old)} pages written\n")
    return 0


def newest_results(folder: Path) -> list[dict[str, Any]]:
    """The newest file of each benchmark, by the instant within."""
    found: dict[str, dict[str, Any]] = {}
    for file in folder.glob("*.json"):
        result = json.loads(file.read_text(encoding="utf-8"))
        name = result["bench"]
        if name not in found or found[name]["at"] < result["at"]:
            found[name] = result
    return [found[name] for name in sorted(found)]


def figures_of(results: list[dict[str, Any]], words: dict[str, Any]) -> str:
    metrics = [metric for result in results for metric in result["metrics"]]
    if not metrics:
        return str(words["none"])
    machines = sorted({f"{r['machine']['cores']} × {r['machine']['processor']}" for r in results})
    loads = sorted({metric["load"] for metric in metrics})
    where = words["on"].format(
        machine="; ".join(machines),
        load=f"{loads[0]:g}" if len(loads) == 1 else f"{loads[0]:g}–{loads[-1]:g}",
        commits=", ".join(sorted({result["commit"].removesuffix("-dirty") for result in results})),
    )
    rows = [_row(metric, f"`{result['command']}`", words) for result in results for metric in result["metrics"]]
    absent = {peer: why for result in results for peer, why in result.get("absent", {}).items()}
    if absent:
        where += " " + words["absent"].format(peers="; ".join(f"{peer} ({why})" for peer, why in absent.items()))
    return table(words["columns"], rows) + f"\n{where}\n"


def _row(metric: dict[str, Any], command: str, words: dict[str, Any]) -> tuple[str, ...]:
    unit, peer = _UNITS.get(metric["unit"], metric["unit"]), metric["peer"]
    goal = metric["goal"].replace(">=", "≥").replace("<=", "≤").replace(" x", " ×")
    return (
        metric["bench"].replace("_", " "),
        f"{_figure(metric['ours'])} {unit}",
        f"{_PEERS.get(peer, peer)}: {_figure(metric['peer_value'])} {unit}" if peer else "",
        "" if metric["ratio"] is None else f"{metric['ratio']:.2f} ×",
        f"{goal}, {words['met'] if metric['met'] else words['missed']}" if goal else "",
        command,
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
