"""Events in the simulated world: when they come, who waits for them, and what must hold of waits and of loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from monjolo.domains.runs.changes import Changes
from monjolo.engine import events as facts
from monjolo.engine import graph
from monjolo.engine.commands import AwaitEvent, Dispatch
from monjolo.engine.draft import Decision
from monjolo.engine.transitions import STEP_ENDED
from monjolo.engine.types import State, StepState, StepStatus

SECOND = 1_000_000
KIND = "ping"  # the one type there is in this world; its `n` is even when the flows want it
LISTENING = ("awaits", "hears", "loops", "endless")


class Unheard(Exception):
    """What the invariants of waits and loops have to say; `invariants` makes a Violation of it."""


@dataclass(frozen=True, slots=True)
class Told:
    id: str
    n: int
    at: int
    stored_in: int  # the world's step

    @property
    def about(self) -> dict[str, Any]:
        return {"id": self.id, "type": KIND, "source": "sim", "at": "", "data": {"n": self.n}}


class Hearing:
    """The events that were stored, the waits, and what became of them."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.told: list[Told] = []
        self.waits: dict[tuple[str, str], AwaitEvent] = {}
        self.coming: list[tuple[int, str, int]] = []  # when, by the clock that never jumps; id, n
        self._since: dict[tuple[str, str, int], int] = {}
        self._heard: dict[tuple[str, str], list[str]] = {}
        self._looked: dict[tuple[str, str, int], int] = {}

    def draw(self) -> list[tuple[str, str, str]]:
        """More wishes, for a third of the worlds; drawn apart, so that the other worlds stay what they were."""
        random = Random(self.world.seed ^ 0x5EED)
        if random.random() > 0.33:
            return []
        wishes = [("run", f"e{number}", random.choice(LISTENING)) for number in range(random.randint(1, 3))]
        if random.random() < 0.3:
            wishes.append(("cancel", random.choice(wishes)[1], ""))
        self.coming = sorted(
            (random.randint(0, 200) * SECOND, f"ev{number}", random.randint(0, 5))
            for number in range(random.randint(0, 12))
        )
        again = [(at + 30 * SECOND, id_, n) for at, id_, n in self.coming if random.random() < 0.3]
        self.coming = sorted(self.coming + again)
        return wishes

    # --- the door for events --------------------------------------------------------------------------------

    def is_due(self) -> bool:
        return bool(self.coming) and self.coming[0][0] <= self.world.mono

    def tell(self) -> Iterator[Any]:
        """Says it again, under the same id, when it was killed before it had its answer."""
        coming = self.coming[0]
        yield None
        self._store(coming[1], coming[2])
        yield None
        if self.coming and self.coming[0] == coming:
            self.coming.pop(0)

    def _store(self, id_: str, n: int) -> None:
        world = self.world
        if any(told.id == id_ for told in self.told) and world.bug != "an event that comes twice is told twice":
            return
        told = Told(id_, n, world.now, world.steps)
        self.told.append(told)
        for (run, _), wait in self.waits.items():
            self._put(run, wait, told)
        world.stir()

    def _put(self, run: str, wait: AwaitEvent, told: Told) -> None:
        event = facts.EventArrived(told.at, wait.key, wait.token, told.at, told.about)
        self.world.database.tell(run, event)

    # --- the transaction of a run ----------------------------------------------------------------------------

    def write(self, run: str, changes: Changes) -> None:
        bug = self.world.bug
        if bug != "a wait outlives its step":
            for key in changes.waits_over:
                self.waits.pop((run, key), None)
        for wait in changes.waits.values():
            self.waits[run, wait.key] = wait
            self._since[run, wait.key, wait.token] = wait.since
            if bug == "an event between the read and the registration is missed":
                continue
            for told in self.told:
                if told.at > wait.since:
                    self._put(run, wait, told)

    def timer_read(self, run: str, key: str, kind: str, token: int) -> bool:
        """Whether a due timer may fire: what a run has to hear comes first."""
        waits = any(run == other for other, _ in self.world.database.inbox.values())
        if waits and self.world.bug != "a time-out beats an event that came before it":
            return False
        if kind == "timeout":
            self._looked.setdefault((run, key, token), self.world.steps)
        return True

    # --- what must hold --------------------------------------------------------------------------------------

    def before(self, state: State, decision: Decision) -> None:
        for key, step in decision.steps.items():
            plan, old = state.plan.steps[graph.path_of(key)], state.steps.get(key) or StepState()
            if plan.loop is not None and step.fan is not None and (step.fan.next > step.fan.total or step.fan.live > 1):
                raise Unheard(f"I19 {state.run_id}/{key} has begun {step.fan.next} of {step.fan.total} iterations")
            if plan.wait is None or old.status in STEP_ENDED:
                continue
            if step.status is StepStatus.SUCCEEDED:
                heard = self._heard.setdefault((state.run_id, plan.path), [])
                if step.output["id"] in heard:
                    raise Unheard(f"I18 {state.run_id}/{key} heard {step.output['id']} a second time")
                heard.append(step.output["id"])
            elif step.status in (StepStatus.TIMED_OUT, StepStatus.RETRYING) and old.status is StepStatus.WAITING:
                self._timed_out(state.run_id, key, old.token)

    def _timed_out(self, run: str, key: str, token: int) -> None:
        since, looked = self._since[run, key, token], self._looked.get((run, key, token), 0)
        for told in self.told:
            if told.n % 2 == 0 and told.at > since and told.stored_in < looked:
                raise Unheard(f"I18 {run}/{key} timed out, but {told.id} had come since it began to wait")

    def dispatched(self, state: State, order: Dispatch) -> None:
        key = order.key
        while key:
            parent = graph.parent_of(key)
            fan = state.steps[parent].fan if key.endswith("]") else None
            if fan is not None and fan.loop and (fan.live != 1 or fan.next != graph.item_index(key) + 1):
                raise Unheard(f"I19 {state.run_id}/{order.key} was dispatched; its loop stands at {fan.next - 1}")
            key = parent


def keys_of(state: State, path: str) -> list[str]:
    """The keys that a step of a run that succeeded has had: one for each item or iteration."""
    if "[" not in path:
        return [path]
    holder = path[: path.index("[")]
    loop = state.plan.steps[holder].loop is not None
    count = state.steps[holder].output["iterations"] if loop else 5
    return [path.replace("[]", f"[{number}]") for number in range(count)]
