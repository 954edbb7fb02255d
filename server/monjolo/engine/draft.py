"""A decision in the making: reads see the state with the changes so far, the state itself is not touched."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from monjolo.engine import graph
from monjolo.engine.commands import Command
from monjolo.engine.transitions import check_run, check_step
from monjolo.engine.types import (
    Error,
    ExprId,
    Instant,
    Json,
    Phase,
    Plan,
    RunHead,
    RunStatus,
    ScopeState,
    State,
    StepPlan,
    StepState,
    StepStatus,
)
from monjolo.engine.values import Failure, Value


class View(Protocol):
    """What an expression may see of a run."""

    @property
    def state(self) -> State: ...
    @property
    def head(self) -> RunHead: ...
    def get(self, key: str) -> StepState | None: ...
    def items(self, key: str) -> list[Json]: ...
    def error_for(self, key: str) -> Error | None: ...


class Scope(NamedTuple):
    """From where an expression looks: the step `key`, and the error its handler or retry is about."""

    view: View
    key: str
    error: Error | None = None
    given: Mapping[str, Json] | None = None  # names that mean something of their own to this expression


Evaluate = Callable[[ExprId, Scope], Value | Failure]


@dataclass(slots=True)
class Decision:
    """What changes, and what is to be done about it. `evolve` folds it into the state.

    `steps` are whole new states by key; `ended_items` are (fan-out, index, output) in the order they ended;
    `forget` are keys that leave the state, since nothing will ask for them again.
    """

    head: RunHead | None = None
    steps: dict[str, StepState] = field(default_factory=dict)
    items: dict[str, list[Json]] = field(default_factory=dict)
    ended_items: tuple[tuple[str, int, Json], ...] = ()
    forget: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        return self.head is None and not self.steps and not self.commands


_ACTIVE = frozenset({StepStatus.QUEUED, StepStatus.RUNNING})
_NOTHING = StepState()


def _is_active(step: StepState) -> bool:
    return step.status in _ACTIVE and step.scope is None and step.fan is None


class Draft:
    def __init__(self, state: State, at: Instant, evaluate: Evaluate) -> None:
        self.state = state
        self.at = at
        self.head = state.head
        self.commands: list[Command] = []
        self.ended: deque[str] = deque()  # steps that ended and whose followers have not been told
        self.opened: deque[str] = deque()  # containers whose list of steps, or items, has to begin
        self.returning = False  # a `return` step was reached in this decision
        self.turns = 0  # iterations that began in this decision
        self._evaluate = evaluate
        self._steps: dict[str, StepState] = {}
        self._items: dict[str, list[Json]] = {}
        self._ended_items: list[tuple[str, int, Json]] = []
        self._forget: list[str] = []

    @property
    def plan(self) -> Plan:
        return self.state.plan

    def step_plan(self, key: str) -> StepPlan:
        return self.state.plan.steps[graph.path_of(key)]

    def get(self, key: str) -> StepState | None:
        return self._steps.get(key) or self.state.steps.get(key)

    def step(self, key: str) -> StepState:
        return self.get(key) or _NOTHING

    def live_keys(self) -> list[str]:
        """Keys of steps that have begun or wait, in a stable order. Cost: the live steps of the run."""
        keys = dict.fromkeys([*self.state.steps, *self._steps])
        return [key for key in keys if self.step(key).finished_at is None]

    def put(self, key: str, old: StepState, new: StepState) -> StepState:
        check_step(key, old.status, new.status)
        change = _is_active(new) - _is_active(old)
        if change:
            self.head = self.head._replace(active=self.head.active + change)
        self._steps[key] = new
        return new

    def set_head(self, head: RunHead) -> None:
        check_run(self.head.status, head.status)
        self.head = head

    def scope(self, parent: str) -> ScopeState:
        if not parent:
            return self.head.scope
        scope = self.step(parent).scope
        assert scope is not None, parent
        return scope

    def set_scope(self, parent: str, scope: ScopeState) -> None:
        if not parent:
            self.head = self.head._replace(scope=scope)
        else:
            old = self.step(parent)
            self.put(parent, old, old._replace(scope=scope))

    def items(self, key: str) -> list[Json]:
        return self._items.get(key) or self.state.items.get(key) or []

    def store_items(self, key: str, items: list[Json]) -> None:
        self._items[key] = items

    def error_for(self, key: str) -> Error | None:
        """What the handler that `key` stands in is about."""
        while key:
            key = graph.parent_of(key)
            scope = self.head.scope if not key else self.step(key).scope
            if scope is not None and scope.phase is not Phase.BODY:
                return scope.error
        return None

    def item_ended(self, fan: str, index: int, output: Json) -> None:
        self._ended_items.append((fan, index, output))

    def item_outputs(self, fan: str) -> dict[int, Json]:
        outputs = dict(self.state.item_outputs.get(fan, {}))
        outputs.update((index, output) for key, index, output in self._ended_items if key == fan)
        return outputs

    def forget(self, key: str) -> None:
        self._forget.append(key)

    def order(self, command: Command) -> None:
        self.commands.append(command)

    def evaluate(
        self, expression: ExprId, key: str, error: Error | None = None, given: Mapping[str, Json] | None = None
    ) -> Value | Failure:
        return self._evaluate(expression, Scope(self, key, error, given))

    def decision(self) -> Decision:
        return Decision(
            head=self.head if self.head is not self.state.head else None,
            steps=self._steps,
            items=self._items,
            ended_items=tuple(self._ended_items),
            forget=tuple(self._forget),
            commands=tuple(self.commands),
        )

    def settle_run_status(self) -> None:
        """A run waits when nothing of it is queued or running."""
        if self.head.status in (RunStatus.RUNNING, RunStatus.WAITING):
            status = RunStatus.RUNNING if self.head.active else RunStatus.WAITING
            if status is not self.head.status:
                self.set_head(self.head._replace(status=status))
