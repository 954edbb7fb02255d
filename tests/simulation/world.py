"""One simulated world: a seed draws its faults, its flows and every step of every process."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation.broker import Broker, Faults
from tests.simulation.database import Database, Work
from tests.simulation.hearing import Hearing
from tests.simulation.invariants import Invariants, Violation
from tests.simulation.orchestrator import TICK, Orchestrator, prepare
from tests.simulation.plans import CONTENDED, SUBMITTED
from tests.simulation.worker import WAIT, Worker, WorkerDied

from monjolo.engine import events as facts
from monjolo.engine.transitions import RUN_ENDED

SECOND = 1_000_000
HOSTILE, CALM = 350, 8_000
CROWDED = 1_000_000  # the worlds from this seed on are about who waits for a place
Process = Callable[[], Iterator[Any]]


class Actor:
    """A process that dies with its owner; each `yield` of it is a place where that may happen."""

    __slots__ = ("generator", "kind", "label", "owner", "process", "ready", "waits")

    def __init__(self, label: str, owner: Any, process: Process, ready: Callable[[], bool]) -> None:
        self.label = label
        self.kind = label.rstrip("0123456789.")
        self.owner = owner
        self.process = process
        self.ready = ready
        self.generator: Iterator[Any] | None = None
        self.waits = -1


class World:
    def __init__(self, seed: int, bug: str | None = None, *, trace: bool = False) -> None:
        self.seed = seed
        self.crowded = seed >= CROWDED
        self.bug = bug
        self.random = random = Random(seed)
        self.now = 1_000 * SECOND  # of the database, which may jump
        self.latest = self.now  # the latest instant that the database's clock has shown
        self.mono = 0  # of a clock that never jumps
        self.stirred = 0
        self.calm = False
        self.log: list[str] | None = [] if trace else None
        self.hash = 0
        self.faults = self._draw_faults()
        self.drawn = replace(self.faults)
        self.quiet = not self.faults.any  # nothing goes wrong but what steps do themselves
        self.sweeps = bool(self.faults.lose or self.faults.orchestrators_die or random.random() < 0.3)
        self.shares = random.random() < 0.6
        self.pace = random.choice((0.02, 0.1, 0.3))
        self.sluggish = random.choice(("", "", "", "refill", "advance", "work", "tick", "api"))
        self.skew = [random.choice((0, 0, -40, 40, 600)) * SECOND for _ in range(2)]
        self.broker = Broker(random, self.faults, self.note)
        self.watch = Invariants(self)
        self.hearing = Hearing(self)
        self.database = Database(bug, self.watch)
        self.workers = [Worker(self, number) for number in range(random.randint(1, 3))]
        self.orchestrators = [Orchestrator(self, number) for number in range(2)]
        self.accepted: dict[str, bool] = {}
        self.made_by: dict[str, str] = {}
        self.late_children: list[Work] = []
        self._runs = 0
        self.outage_until = 0
        self._draw_work()
        self.gentle = self.quiet and not any(flow == "poison" for _, _, flow in self.wishes)
        self.actors = self._actors()
        self.steps = 0

    def _draw_faults(self) -> Faults:
        """Swarm testing: each seed has its own mix, many have none of most."""
        pick = self.random.choice
        if self.random.random() < 0.25:
            return Faults(fail=pick((0.0, 0.2)))
        return Faults(
            crash=pick((0, 0.005, 0.02, 0.05)),
            lose=pick((0, 0, 0, 0.02)),
            double=pick((0, 0, 0.05, 0.3)),
            reorder=pick((False, True)),
            close_channel=pick((0, 0, 0.01, 0.04)),
            outage=pick((0, 0, 0.003)),
            freeze=pick((0, 0, 0.01)),
            jump=pick((0, 0, 0.02)),
            fail=pick((0, 0.1, 0.3)),
            orchestrators_die=pick((False, True)),
        )

    def _draw_work(self) -> None:
        random = self.random
        self.wishes: list[tuple[str, str, str]] = []
        self.priorities: dict[str, int] = {}
        if self.crowded:
            self._draw_crowd()
        for number in range(random.randint(1, 3)):
            flow = random.choice(SUBMITTED)
            self.wishes.append(("run", f"k{number}", flow))
            if flow in ("limited", "single"):
                self.wishes.append(("run", f"l{number}", flow))
                self.wishes.append(("run", f"m{number}", flow))
        for _ in range(random.choice((0, 0, 1, 3))):
            self.wishes.insert(random.randint(1, len(self.wishes)), ("cancel", random.choice(self.wishes)[1], ""))
        self.horizon = self.now + TICK * random.randint(1, 3)
        self.first_ticks: dict[str, int] = {}
        if random.random() < 0.4:
            self.first_ticks["clock"] = self.now + random.randint(1, 50) * SECOND
        self.database.schedules.update(self.first_ticks)
        self.wishes += self.hearing.draw()

    def _draw_crowd(self) -> None:
        """Many runs of one flow: one by one and together, of several priorities."""
        random = self.random
        flow = random.choice(CONTENDED)
        for number in range(random.randint(2, 6)):
            name = f"c{number}"
            self.priorities[name] = random.choice((48, 50, 50, 53))
            self.wishes.append((random.choice(("run", "bulk")), name, flow))

    def _actors(self) -> list[Actor]:
        actors = [Actor(f"api{i}", None, self._api, lambda: bool(self.wishes)) for i in range(2)]
        if self.hearing.coming:
            actors.append(Actor("teller", None, self.hearing.tell, self.hearing.is_due))
        for o in self.orchestrators:
            actors.append(Actor(f"advance{o.number}", o, o.advance, o.ready))
            actors.append(Actor(f"refill{o.number}", o, o.refill, o.has_backlog))
            if self.first_ticks:
                actors.append(Actor(f"tick{o.number}", o, o.tick, o.tick_due))
        for w in self.workers:
            for slot in range(2):
                actors.append(Actor(f"work{w.number}.{slot}", w, w.work, w.ready))
        if self.bug == "slot check then act":
            actors += [Actor(f"slots{i}", None, self._careless_slots, self._waiters) for i in range(2)]
        if self.bug == "child started after cancel":
            actors.append(Actor("children", None, self._late_children, lambda: bool(self.late_children)))
        return actors

    # --- small things that processes ask for -----------------------------------------------------------------

    def new_run(self, flow: str) -> str:
        self._runs += 1
        return f"{flow}-{self._runs}"

    def clock_of(self, orchestrator: Orchestrator) -> int:
        """Everyone goes by the clock of the database."""
        return self.now + (self.skew[orchestrator.number] if self.bug == "local clocks" else 0)

    def stir(self) -> None:
        """Something happened that processes may have waited for."""
        self.stirred += 1

    def _api(self) -> Iterator[Any]:
        wish = self.wishes[0]
        kind, key, flow = wish
        yield None
        if self.bug == "202 before commit" and kind == "run":
            self._answer(wish)
            yield None
        if kind == "run":
            if key not in self.database.keys or self.bug == "no idempotency key":
                run = self.new_run(flow)
                self.made_by[run] = key
                self.database.keys[key] = run
                self.database.commit([prepare(self, flow, run, None, self.priorities.get(key, 50))], self.now)
        elif kind == "bulk":
            self._bulk(key, flow)
        elif key in self.database.keys:
            self.database.tell(self.database.keys[key], facts.CancelRequested(self.now, "asked"))
        yield None
        self._answer(wish)

    def _bulk(self, key: str, flow: str) -> None:
        """Three runs in one transaction."""
        if key in self.database.keys:
            return
        works = []
        for number in range(3):
            run = self.new_run(flow)
            self.made_by[run] = f"{key}.{number}"
            works.append(prepare(self, flow, run, None, self.priorities[key]))
            self.database.keys[f"{key}.{number}"] = self.database.keys[key] = run
        self.database.commit(works, self.now)

    def _answer(self, wish: tuple[str, str, str]) -> None:
        """The client has its answer and never asks again."""
        if wish in self.wishes:
            self.wishes.remove(wish)
            if wish[0] == "run":
                self.accepted[wish[1]] = True

    def _waiters(self) -> bool:
        return any(not row.held for row in self.database.slots.values())

    def _careless_slots(self) -> Iterator[Any]:
        rows = [row for row in self.database.slots.values() if not row.held]
        if not rows:
            return
        row = self.random.choice(rows)
        held = sum(1 for other in self.database.slots.values() if other.slot == row.slot and other.held)
        yield None
        if held < row.limit and not row.held and self.database.slots.get((row.run, row.key)) is row:
            row.held = True
            self.database.tell(row.run, facts.SlotGranted(self.now, row.key))
            self.watch.committed([])

    def _late_children(self) -> Iterator[Any]:
        child = self.late_children.pop(0)
        yield None
        assert child.row is not None
        child.row.state.created_at = self.now
        self.database.commit([child], self.now)

    # --- time -----------------------------------------------------------------------------------------------

    def pass_time(self, seconds: int) -> None:
        """In small steps; whoever lives gets to beat and to look in each of them."""
        while seconds > 0:
            step = min(5, seconds)
            seconds -= step
            self.now += step * SECOND
            self.latest = max(self.latest, self.now)
            self.mono += step * SECOND
            if not self.broker.up and self.mono >= self.outage_until:
                self.broker.up = True
            for worker in self.workers:
                worker.beat()
            for orchestrator in self.orchestrators:
                orchestrator.look()
        self.stir()

    def _jump(self) -> None:
        self.now += self.random.choice((40, 200, 1_000, -20)) * SECOND
        self.latest = max(self.latest, self.now)
        self.note("the clock jumps")
        self.stir()

    # --- faults ---------------------------------------------------------------------------------------------

    def kill(self, owner: Any) -> None:
        for actor in self.actors:
            if actor.owner is owner:
                actor.generator = None
        owner.frozen = False
        owner.die()
        self.note("kill -9", owner)

    def _misfortune(self) -> None:
        random, faults = self.random, self.faults
        if faults.outage and random.random() < faults.outage and self.broker.up:
            self.broker.up = False
            self.outage_until = self.mono + random.choice((10, 50, 100)) * SECOND
            for owner in (*self.workers, *self.orchestrators):
                self.broker.close(owner.id)
            self.note("the broker is down")
        if faults.close_channel and random.random() < faults.close_channel:
            owner = random.choice((*self.workers, *self.orchestrators))
            self.broker.close(owner.id)
            self.note("channel closed", owner)
        if faults.lose and random.random() < faults.lose / 4 and self.broker.tasks:
            self.broker.tasks.pop(random.randrange(len(self.broker.tasks)))
            self.note("the broker loses a message")
        if faults.jump and random.random() < faults.jump:
            self._jump()
        if faults.freeze and random.random() < faults.freeze:
            owner = random.choice((*self.workers, *self.orchestrators))
            owner.frozen = not owner.frozen
            self.note("frozen" if owner.frozen else "thawed", owner)

    # --- the course of the world -----------------------------------------------------------------------------

    def run(self) -> World:
        for _ in range(HOSTILE):
            if not self._step() and self.settled():
                break
        self.calm = True
        self._calm_down()
        for _ in range(CALM):
            if not self._step() and self.settled():
                break
        self.watch.at_rest()
        return self

    def _calm_down(self) -> None:
        faults = self.faults
        faults.crash = faults.lose = faults.double = faults.close_channel = faults.outage = 0.0
        faults.freeze = faults.jump = faults.fail = 0.0
        self.broker.up = True
        self.outage_until = 0
        for owner in (*self.workers, *self.orchestrators):
            owner.frozen = False
        self.note("calm")
        self.stir()

    def _step(self) -> bool:
        """One step of one process, or of time. False when nobody had anything to do."""
        self.steps += 1
        random = self.random
        if not self.calm:
            self._misfortune()
            if random.random() < self.pace:
                self.pass_time(random.choice((1, 1, 5, 5, 20, 45)))
        actor = self._choose()
        if actor is None:
            self.pass_time(5)
            return False
        if actor.owner is not None and self.faults.crash and random.random() < self.faults.crash and (
            isinstance(actor.owner, Worker) or self.faults.orchestrators_die
        ):  # fmt: skip
            self.kill(actor.owner)
        elif actor.owner is None and self.faults.crash and random.random() < self.faults.crash:
            actor.generator = None
            self.note("kill -9", None, actor.label)
        else:
            self._go_on(actor)
        return True

    def _choose(self) -> Actor | None:
        actors, random = self.actors, self.random
        slow = "" if self.calm or random.random() > 0.9 else self.sluggish
        for _ in range(3):
            actor = actors[int(random.random() * len(actors))]
            if actor.kind != slow and self._may_run(actor):
                return actor
        runnable = [actor for actor in actors if actor.kind != slow and self._may_run(actor)]
        return runnable[int(random.random() * len(runnable))] if runnable else None

    def _may_run(self, actor: Actor) -> bool:
        if actor.owner is not None and actor.owner.frozen:
            return False
        if actor.generator is None:
            return actor.ready()
        return actor.waits != self.stirred

    def _go_on(self, actor: Actor) -> None:
        owner = actor.owner
        if isinstance(owner, Worker):
            owner.hear()
        if actor.generator is None:
            actor.generator = actor.process()
        actor.waits = -1
        try:
            if next(actor.generator) is WAIT:
                actor.waits = self.stirred
        except StopIteration:
            actor.generator = None
        except WorkerDied:
            self.kill(owner)
        if self.log is not None:
            self.note("", None, actor.label)

    def note(self, what: str, owner: Any = None, label: Any = "") -> None:
        if self.log is None:
            return
        line = f"{self.now // SECOND:6d} {what} {label or (owner.id if owner else '')}".rstrip()
        self.log.append(line)
        self.hash = zlib.crc32(line.encode(), self.hash)

    def settled(self) -> bool:
        database = self.database
        return (
            not self.wishes
            and not database.inbox
            and not self.late_children
            and all(instant > self.horizon for instant in database.schedules.values())
            and all(row.state.head.status in RUN_ENDED for row in database.runs.values())
        )


def explore(seed: int, bug: str | None = None, *, trace: bool = False) -> tuple[World, str | None]:
    """The world of a seed, and what it violated."""
    world = World(seed, bug, trace=trace)
    try:
        world.run()
    except Violation as violation:
        return world, str(violation)
    return world, None
