"""What came of a run, held against what the test expects: each difference with its place and both values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monjolo.domains.runs.codec import error_to_json
from monjolo.domains.runs.rehearsal.document import Expect, StepExpect, source_of
from monjolo.domains.runs.rehearsal.world import Rehearsal
from monjolo.engine.types import StepState
from monjolo.flow_document import Compiled
from monjolo.flow_document.builder import understand
from monjolo.flow_document.cel_engine import EngineError
from monjolo.flow_document.parse import Path, path_text
from monjolo.kit.json import dumps
from monjolo.kit.time import SECOND

MOST = 50
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Difference:
    """`at` is the place in the test document. Values that are absent are shown as the text `nothing`."""

    at: Path
    what: str
    expected: str
    actual: str


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


def differences(
    expect: Expect, written: Mapping[str, Any], run: Rehearsal, compiled: Compiled, path: Path
) -> list[Difference]:
    """`written` is `expect` as it stands in the document: only what is written is looked at."""
    head = run.state.head
    found: list[Difference] = []
    _compare(expect.status, str(head.status), (*path, "status"), "run status", found)
    if "outputs" in written:
        _compare(expect.outputs, head.outputs, (*path, "outputs"), "outputs", found)
    if expect.error is not None:
        _compare_fields(expect.error, error_to_json(head.error), (*path, "error"), "error", found)
    for key, wanted in expect.steps.items():
        given = written["steps"][key]
        _compare_step(key, wanted, given if isinstance(given, dict) else {}, run, compiled, path, found)
    if expect.assert_:
        names = _names(run, compiled)
        for index, source in enumerate(expect.assert_):
            _assert(source_of(source), names, (*path, "assert", index), found)
    if found and str(head.status) not in ("succeeded", expect.status) and head.error is not None:
        text = f"{head.error.type}: {head.error.message}"
        found.insert(1, Difference((*path, "status"), "the run's error", "", text))
    return found[:MOST]


def _compare_step(
    key: str,
    wanted: str | StepExpect,
    written: Mapping[str, Any],
    run: Rehearsal,
    compiled: Compiled,
    path: Path,
    found: list[Difference],
) -> None:
    place, what = (*path, "steps", key), f"steps.{key}"
    real = compiled.step_paths.get(key, key)
    step = run.steps.get(real, StepState())
    if isinstance(wanted, str):
        _compare(wanted, str(step.status), place, f"{what} status", found)
        return
    facts: dict[str, Any] = {
        "status": str(step.status),
        "reason": step.reason,
        "output": step.output,
        "inputs": run.given.get(real, NOTHING),
        "attempts": run.attempts.get(real, 0),
    }
    for name, value in facts.items():
        if name in written:
            _compare(getattr(wanted, name), value, (*place, name), f"{what}.{name}", found)
    if wanted.error is not None:
        _compare_fields(wanted.error, error_to_json(step.error), (*place, "error"), f"{what}.error", found)


def _compare_fields(
    wanted: Mapping[str, Any], error: Mapping[str, Any] | None, at: Path, what: str, found: list[Difference]
) -> None:
    for name, value in wanted.items():
        _compare(value, (error or {}).get(name, NOTHING), (*at, name), f"{what}.{name}", found)


def _compare(wanted: Any, actual: Any, at: Path, what: str, found: list[Difference]) -> None:
    """One difference for each place that differs, however deep it stands."""
    todo = [(wanted, actual, at, what)]
    while todo and len(found) < MOST:
        wanted, actual, at, what = todo.pop()
        if isinstance(wanted, dict) and isinstance(actual, dict):
            names = [*wanted, *(name for name in actual if name not in wanted)]
            below = [(wanted.get(n, NOTHING), actual.get(n, NOTHING), (*at, n), f"{what}.{n}") for n in names]
            todo.extend(reversed(below))
        elif isinstance(wanted, list) and isinstance(actual, list):
            both = max(len(wanted), len(actual))
            pairs = ((_item(wanted, index), _item(actual, index), index) for index in range(both))
            todo.extend(reversed([(one, other, (*at, index), f"{what}[{index}]") for one, other, index in pairs]))
        elif not _same(wanted, actual):
            found.append(Difference(at, what, _shown(wanted), _shown(actual)))


def _same(wanted: Any, actual: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return wanted is actual
    return bool(wanted == actual)


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else NOTHING


def _assert(source: str, names: Mapping[str, Any], at: Path, found: list[Difference]) -> None:
    understood = understand(source)
    try:
        value = understood.program.run(names)
    except EngineError as error:
        found.append(Difference(at, source, "true", f"{error.message}"))
        return
    if value is not True:
        seen = ", ".join(
            f"{path_text(read)} is {_shown(_reach(names, read))}" for read in dict.fromkeys(understood.reads)
        )
        found.append(Difference(at, source, "true", _shown(value) + (f"; {seen}" if seen else "")))


def _reach(names: Any, read: Path) -> Any:
    value = names
    for part in read:
        if not isinstance(value, Mapping) or part not in value:
            return NOTHING
        value = value[part]
    return value


def _names(run: Rehearsal, compiled: Compiled) -> dict[str, Any]:
    steps = {key: _step(run, key, step) for key, step in run.steps.items()}
    for step_id, path in compiled.step_paths.items():
        if "[]" not in path:
            steps[step_id] = steps.get(path) or _step(run, path, StepState())
    head = run.state.head
    seconds = (run.now - run.began) / SECOND
    about = {"status": str(head.status), "reason": head.reason, "error": error_to_json(head.error), "seconds": seconds}
    return {"inputs": run.state.inputs, "outputs": head.outputs, "run": about, "steps": steps}


def _step(run: Rehearsal, key: str, step: StepState) -> dict[str, Any]:
    return {
        "status": str(step.status),
        "reason": step.reason,
        "output": step.output,
        "error": error_to_json(step.error),
        "inputs": run.given.get(key),
        "attempts": run.attempts.get(key, 0),
    }


def _shown(value: Any) -> str:
    text = repr(value) if value is NOTHING else dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
