"""The flows of the simulated world, compiled by the real compiler, and the real evaluator of their expressions."""

from __future__ import annotations

from dataclasses import dataclass

from monjolo.domains.runs.evaluation import Evaluator
from monjolo.engine.draft import Evaluate
from monjolo.engine.types import Plan
from monjolo.flow_document import ResolvedAction, compile_plan, parse

WORK = ResolvedAction("sim", "1.0.0", "sha256:sim", "work", {"type": "object"}, None)
POISON = ResolvedAction("sim", "1.0.0", "sha256:sim", "poison", {"type": "object"}, None)
ACTIONS = {"sim/work": WORK, "sim/poison": POISON}

_SOURCES = {
    "dag": """
steps:
  - {id: a, uses: sim/work, retry: {max_attempts: 40, delay: 2s, max_delay: 10s, jitter: 0.5}, max_crashes: 30}
  - {id: b, uses: sim/work, needs: [a], retry: {max_attempts: 40, delay: 1s, max_delay: 5s}, max_crashes: 30}
  - {id: c, uses: sim/work, needs: [a], delivery: at_most_once}
  - {id: d, uses: sim/work, needs: [b, c], retry: {max_attempts: 40, delay: 1s, max_delay: 5s}, max_crashes: 30}
finally:
  - {id: z, uses: sim/work, max_crashes: 30}
""",
    "once": """
steps:
  - {id: pay, uses: sim/work, delivery: at_most_once}
  - {id: mail, uses: sim/work, delivery: at_most_once}
""",
    "wide": """
steps:
  - {id: a, uses: sim/work, needs: [], max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - {id: b, uses: sim/work, needs: [], max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - {id: c, uses: sim/work, needs: [], max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - {id: d, uses: sim/work, needs: [], max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - {id: e, uses: sim/work, needs: [a, b, c, d], max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "fan": """
steps:
  - id: each
    for_each: {items: [1, 2, 3, 4, 5], max_parallel: 3}
    uses: sim/work
    max_crashes: 30
    retry: {max_attempts: 40, delay: 1s, max_delay: 5s}
  - {id: after, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "parent": """
steps:
  - {id: before, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - {id: call, subflow: {flow: child}}
  - {id: after, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
on_cancel:
  - {id: undo, uses: sim/work, max_crashes: 30}
""",
    "child": """
steps:
  - {id: x, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - {id: y, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "limited": """
steps:
  - {id: first, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - id: guarded
    uses: sim/work
    concurrency: {limit: 1}
    max_crashes: 30
    retry: {max_attempts: 40, delay: 1s, max_delay: 5s}
  - {id: free, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "single": """
concurrency: {limit: 1}
steps:
  - {id: only, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "capped": """
concurrency: {limit: 1, max_queued: 2}
steps:
  - {id: only, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "newest": """
concurrency: {limit: 1, coalesce: newest}
steps:
  - {id: only, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "oldest": """
concurrency: {limit: 1, coalesce: oldest}
steps:
  - {id: only, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "latest": """
concurrency: {limit: 1, on_limit: cancel_running}
steps:
  - {id: only, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "handled": """
timeout: 10m
steps:
  - id: block
    group:
      steps:
        - {id: g1, uses: sim/work, queue_timeout: 2m, max_crashes: 30}
        - {id: g2, uses: sim/work, delivery: at_most_once}
      on_failure:
        - {id: mend, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
      finally:
        - {id: close, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
    continue_on_error: true
  - {id: nap, sleep: 20s}
  - {id: last, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "awaits": """
steps:
  - {id: before, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - id: w
    wait_for: {event: ping, when: "event.n % 2 == 0", timeout: 1m}
    retry: {max_attempts: 2, delay: 2s}
    continue_on_error: true
  - {id: after, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "hears": """
steps:
  - id: l
    while:
      if: "index < 3"
      steps:
        - {id: w, wait_for: {event: ping, when: "event.n % 2 == 0", timeout: 50s}, continue_on_error: true}
        - {id: x, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "loops": """
timeout: 30m
steps:
  - id: l
    while:
      if: "index < 4"
      interval: 3s
      steps:
        - {id: x, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
        - {id: y, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
  - {id: last, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "endless": """
steps:
  - id: l
    while: {if: true, max_iterations: 3}
    uses: sim/work
    max_crashes: 30
    retry: {max_attempts: 40, delay: 1s, max_delay: 5s}
    continue_on_error: true
  - {id: last, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
    "poison": """
steps:
  - {id: deadly, uses: sim/poison, max_crashes: 2}
""",
    "ticked": """
steps:
  - {id: t, uses: sim/work, max_crashes: 30, retry: {max_attempts: 40, delay: 1s, max_delay: 5s}}
""",
}


@dataclass(frozen=True, slots=True)
class Flow:
    name: str
    plan: Plan
    evaluate: Evaluate


def _compiled(name: str, source: str) -> Flow:
    parsed = parse(f"schema: monjolo/flow/v1\nid: {name}\n{source}")
    assert parsed.document is not None, parsed.problems
    compiled = compile_plan(parsed.document, name, 1, ACTIONS)
    return Flow(name, compiled.plan, Evaluator(compiled))


FLOWS = {name: _compiled(name, source) for name, source in _SOURCES.items()}
CONTENDED = ("capped", "newest", "oldest", "latest", "single", "limited")  # for a place, in worlds of their own
SUBMITTED = ("dag", "once", "wide", "fan", "parent", "limited", "single", "handled", "poison")
