"""A simulated orchestrator: the protocol of advance, dispatch, leases and repair around the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.broker import Message, Report, Task
from tests.simulation.database import LEASE, Entry, RunRow, TaskRow, Work
from tests.simulation.plans import FLOWS

from monjolo.domains.runs.changes import Changes
from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine import schedule
from monjolo.engine.admission import DEFAULT_PRIORITY, Head, queue_at, whose_turn
from monjolo.engine.decide import decide
from monjolo.engine.evolve import evolve
from monjolo.engine.types import State

SECOND = 1_000_000
GAP = 15 * SECOND
PERMIT_DEADLINE = 10 * SECOND
TICK = 60 * SECOND
EVERY_TICK = schedule.MisfirePolicy(schedule.Misfire.ALL, 60 * SECOND, 1_000)


@dataclass(slots=True)
class Fact:
    run: str
    event: facts.Event
    tag: int | None = None  # of the reports it came with
    inbox: int | None = None
    timer: tuple[str, str, str] | None = None
    worker: str = ""
    seen: tuple[Any, ...] | None = None  # the task row it was judged on


def prepare(
    world: Any, flow: str, run: str, parent: tuple[str, str, int] | None = None, priority: int = DEFAULT_PRIORITY
) -> Work:
    """A run that is decided as far as its first tasks, in memory only."""
    now = world.now
    state = State(run, FLOWS[flow].plan, world.random.getrandbits(30), now, {}, {})
    work = Work(Entry(state, 0, parent), 0, Changes(None, 0), row=None)  # type: ignore[arg-type]
    decision = decide(state, facts.RunCreated(now), FLOWS[flow].evaluate)
    stored = State(run, state.plan, state.seed, now, {}, {})
    work.row = RunRow(stored, flow, 0, parent, priority)
    evolve(state, decision)
    work.decisions.append(decision)
    work.changes.add(decision, now)
    return work


class Orchestrator:
    def __init__(self, world: Any, number: int) -> None:
        self.world = world
        self.number = number
        self.frozen = False
        self.ears = world.random.choice((1, 2, 50, 50, 50))  # heartbeats it gets to hear at one look
        self.forget()

    def forget(self) -> None:
        """What a process has in memory when it starts."""
        self.id = f"o{self.number}"
        self.cache: dict[str, Entry] = {}
        self.again: list[Fact] = []
        self.last_look: int | None = None
        self.trusts_from = self.world.now + LEASE
        self.markers: list[int] = []
        self.turn = ""

    def die(self) -> None:
        self.world.broker.close(self.id)
        self.forget()

    # --- advance --------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        world = self.world
        if self.again or world.database.inbox or (world.broker.reports and world.broker.up):
            return True
        timers = world.database.timers
        return bool(timers) and any(due <= world.now for _, due in timers.values())

    def _gather(self) -> tuple[list[Fact], list[int]]:
        world = self.world
        happened, self.again = self.again, []
        tags: list[int] = []
        for _ in range(world.random.randint(1, 4)):
            taken = world.broker.take_reports(self.id)
            if taken is None:
                break
            tag, reports = taken
            tags.append(tag)
            happened += [fact for report in reports if (fact := self._fact(report, tag)) is not None]
        if world.bug == "ack a report before its commit":
            for tag in tags:
                world.broker.ack(self.id, tag)
        for row, (run, event) in list(world.database.inbox.items())[:8]:
            if isinstance(event, facts.EventArrived):
                event = event._replace(at=world.now)
            happened.append(Fact(run, event, inbox=row))
        clock = world.clock_of(self)
        for (run, key, kind), (token, due) in list(world.database.timers.items()):
            if due <= clock and world.hearing.timer_read(run, key, kind, token):
                fired = Fact(run, facts.TimerFired(world.now, key, kind, token), timer=(run, key, kind))
                first = world.bug == "a time-out beats an event that came before it"
                happened.insert(0 if first else len(happened), fired)
        return happened, tags

    def _fact(self, report: Report, tag: int) -> Fact | None:
        run, key, token = report.name
        now = report.at
        event: facts.Event
        match report.kind:
            case "marker":
                database = self.world.database
                if token > database.marker[0]:
                    database.marker = (token, self.world.now)
                return None
            case "started":
                event = facts.TaskStarted(now, key, token)
            case "claim":
                event = facts.TaskClaimed(now, key, token, report.worker)
            case "released":
                event = facts.TaskReleased(now, key, token, report.too_late, report.worker)
            case "redelivered":
                event = facts.TaskRedelivered(now, key, token)
            case _:
                event = facts.TaskFinished(now, key, token, report.status, now)
        return Fact(run, event, tag=tag, worker=report.worker)

    def advance(self) -> Iterator[Any]:
        world = self.world
        happened, tags = self._gather()
        if not happened and not tags:
            return
        yield None
        works = self._decide_all(happened)
        yield None
        database = world.database
        moved = [work for work in works.values() if work.decisions]
        # What changes nothing is compared too: it may change nothing only in a memory that is out of date.
        compared = moved if world.bug == "what changes nothing is not compared" else list(works.values())
        losers = database.commit(compared, world.now)
        done = [fact for fact in happened if fact.run not in losers]
        for fact in done:
            self._settled(fact)
        for work in works.values():
            if work.run in losers:
                self.cache.pop(work.run, None)
            elif work.decisions:
                work.entry.revision += 1
        stale_undoes = world.bug == "one stale run undoes its batch"
        if not stale_undoes:
            # A judgement that went stale is dropped, not repeated: the next look judges again.
            repeats = world.bug == "a stale judgement is repeated"
            self.again += [fact for fact in happened if fact.run in losers and (repeats or fact.seen is None)]
        yield None
        stored = [work for work in moved if work.run not in losers]
        if world.bug == "slot counter":
            database.count_back(stored, world.now)
        yield from self._publish(stored)
        waiting = {fact.tag: True for fact in self.again}
        for tag in dict.fromkeys([*tags, *(fact.tag for fact in happened if fact.tag is not None)]):
            if tag not in waiting:
                world.broker.ack(self.id, tag)

    def _settled(self, fact: Fact) -> None:
        database = self.world.database
        if fact.inbox is not None:
            database.inbox.pop(fact.inbox, None)
        if fact.timer is not None:
            row = database.timers.get(fact.timer)
            if row is not None and isinstance(fact.event, facts.TimerFired) and row[0] == fact.event.token:
                del database.timers[fact.timer]

    def _decide_all(self, happened: list[Fact]) -> dict[str, Work]:
        works: dict[str, Work] = {}
        todo = list(happened)
        while todo:
            fact = todo.pop(0)
            work = works.get(fact.run)
            if work is None:
                entry = self.cache.get(fact.run) or self.world.database.load(fact.run)
                if entry is None:
                    continue
                self.cache[fact.run] = entry
                work = works[fact.run] = Work(entry, entry.revision, Changes(None, 0))  # type: ignore[arg-type]
            todo[:0] = self._decide_one(work, fact)
        return works

    def _decide_one(self, work: Work, fact: Fact) -> list[Fact]:
        state = work.entry.state
        flow = FLOWS[state.plan.flow]
        decision = decide(state, fact.event, flow.evaluate)
        self.world.note(f"  {self.id} {fact.run} {'-' if decision.changes_nothing else '+'}", None, fact.event)
        if decision.changes_nothing:
            return []
        self.world.watch.believed(state, fact.event)
        if isinstance(fact.event, facts.TaskStarted | facts.TaskClaimed):
            work.started.append(((fact.run, fact.event.key, fact.event.token), fact.worker))
        if fact.seen is not None:
            work.guards.append(self._guard(fact))
        evolve(state, decision)
        work.decisions.append(decision)
        work.changes.add(decision, fact.event.at)
        children, work.changes.children = work.changes.children, []
        return [self._child(work, order, fact.event.at) for order in children]

    def _child(self, work: Work, order: orders.StartChild, at: int) -> Fact:
        world = self.world
        run = world.new_run(order.flow)
        child = prepare(world, order.flow, run, (work.run, order.key, order.token))
        if world.bug == "child started after cancel":
            world.late_children.append(child)
        else:
            work.children.append(child)
        return Fact(work.run, facts.ChildAccepted(at, order.key, order.token, run))

    def _guard(self, fact: Fact) -> Any:
        tasks, run, key, seen = self.world.database.tasks, fact.run, fact.event.key, fact.seen  # type: ignore[union-attr]

        def holds() -> bool:
            row = tasks.get((run, key))
            return row is not None and row.seen == seen

        return holds

    # --- what leaves after the commit ------------------------------------------------------------------------

    def _publish(self, stored: list[Work]) -> Iterator[Any]:
        world = self.world
        while not world.broker.up:
            yield None
        for work in stored:
            for cancel in work.changes.cancels:
                for worker in world.workers:
                    world.broker.control(worker.id, ("cancel", (work.run, cancel.key, cancel.token), 0))
            for permit in work.changes.permits:
                name = (work.run, permit.key, permit.token)
                world.broker.control(permit.worker, ("permit", name, work.changes.at + PERMIT_DEADLINE))
        world.stir()
        yield None

    # --- dispatch -------------------------------------------------------------------------------------------

    def has_backlog(self) -> bool:
        tasks = self.world.database.tasks
        return bool(tasks) and self.world.broker.up and any(row.state == "ready" for row in tasks.values())

    def refill(self) -> Iterator[Any]:
        """Marks ready tasks as dispatched, and only then hands them to the broker."""
        world = self.world
        ready = [row for row in world.database.tasks.values() if row.state == "ready"]
        room = world.random.choice((1, 4, 32))
        rows = self._in_turn(ready, room) if world.crowded else ready[:room]
        if world.bug == "publish without rows":
            for row in rows:
                world.database.tasks.pop((row.run, row.key), None)
        for row in rows:
            row.state, row.dispatched_at = "dispatched", world.now
        yield None
        while not world.broker.up:
            yield None
        together: list[Task] = []
        for row in rows:
            if row.dispatched_at < world.now - GAP and world.bug != "publish long after the mark":
                row.state = "ready"  # a marker may have passed meanwhile: who is that late begins anew
                continue
            task = Task(row.run, row.key, row.token, row.attempt, row.once, row.timeout, row.not_after)
            if row.alone or not world.shares:
                world.broker.publish(Message((task,)))
            else:
                together.append(task)
        if together:
            world.broker.publish(Message(tuple(together)))
        yield None

    def _in_turn(self, ready: list[TaskRow], room: int) -> list[TaskRow]:
        """By priority, and round by flow, as `dispatch` does it."""
        world, now, taken = self.world, self.world.now, []
        left = sorted(ready, key=lambda row: queue_at(row.priority, row.ready_at))
        if world.bug == "no ageing of tasks":
            left = sorted(ready, key=lambda row: -row.priority)
        while left and len(taken) < room:
            heads: dict[str, Head] = {}
            for row in left:
                heads.setdefault(row.flow, Head(row.flow, row.priority, queue_at(row.priority, row.ready_at)))
            flows, until = whose_turn(list(heads.values()), self.turn, now)
            if world.bug == "one flow takes the whole refill":
                flows = flows[:1]
            share = max(1, (room - len(taken)) // len(flows))
            for flow in flows[: room - len(taken)]:
                of_flow = [row for row in left if row.flow == flow and queue_at(row.priority, row.ready_at) <= until]
                taken += of_flow[:share]
                left = [row for row in left if row not in of_flow[:share]]
                self.turn = flow
        world.watch.taken(taken, left)
        return taken

    # --- repair ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Every few seconds: hear heartbeats, judge leases, look for what was lost on its way."""
        world = self.world
        if self.frozen or not world.broker.up:
            self.last_look = None
            return
        now = world.clock_of(self)
        last, self.last_look = self.last_look, now
        if (last is None or now - last > GAP or now < last) and world.bug != "no grace after a gap":
            self.trusts_from = now + LEASE
        if world.bug == "expire before draining":
            self._judge(now)
        self._hear()
        if world.database.tasks and self._drained():
            self._judge(now)
            if world.sweeps:
                self._sweep(now)

    def _hear(self) -> None:
        world = self.world
        for _ in range(min(len(world.broker.beats), 1_000 if world.calm else self.ears)):
            beat = world.broker.beats.pop(0)
            for run, key, token in beat.held:
                row = world.database.tasks.get((run, key))
                if row is not None and row.token == token:
                    row.heard_at = world.now
                    if row.state == "started":
                        row.lease_until = world.now + LEASE

    def _drained(self) -> bool:
        world = self.world
        if world.broker.beats or world.broker.reports:
            return False
        return not any(world.broker.unacked.get(other.id) for other in world.orchestrators)

    def _judge(self, now: int) -> None:
        world = self.world
        if world.bug == "no reaper" or (now < self.trusts_from and world.bug != "no grace after a gap"):
            return
        for row in world.database.tasks.values():
            if row.state == "started" and row.lease_until < now:
                world.watch.expired(row)
                seen = row.seen
                self._once(Fact(row.run, facts.LeaseExpired(world.now, row.key, row.token), seen=seen))

    def _sweep(self, now: int) -> None:
        world = self.world
        old = [row for row in world.database.tasks.values()
               if row.state == "dispatched" and row.dispatched_at < now - LEASE]  # fmt: skip
        if not old or world.bug == "no sweep" or now < self.trusts_from:
            return
        published, back = world.database.marker
        if not self.markers or self.markers[-1] < now - LEASE:
            self.markers.append(now)
            world.broker.publish(Message((), now))
        for row in old:
            # Whoever marked it had GAP to publish it: a marker says nothing about what was marked just before.
            lost = row.dispatched_at < published - GAP and back <= now - GAP and row.heard_at < back
            if lost or world.bug == "sweep without a marker":
                seen = row.seen
                if world.bug == "resend under the same token":
                    task = Task(row.run, row.key, row.token, row.attempt, row.once, row.timeout, row.not_after)
                    row.dispatched_at = now
                    world.broker.publish(Message((task,)))
                else:
                    self._once(Fact(row.run, facts.DispatchLost(world.now, row.key, row.token), seen=seen))

    def _once(self, fact: Fact) -> None:
        if not any(other.run == fact.run and other.event == fact.event for other in self.again[-50:]):
            self.again.append(fact)

    # --- schedules ------------------------------------------------------------------------------------------

    def tick_due(self) -> bool:
        clock = self.world.clock_of(self)
        return any(instant <= min(clock, self.world.horizon) for instant in self.world.database.schedules.values())

    def tick(self) -> Iterator[Any]:
        world = self.world
        clock = world.clock_of(self)
        for name, instant in list(world.database.schedules.items()):
            if instant > clock or instant > world.horizon:
                continue
            found = schedule.due(lambda after: after + TICK, instant, min(clock, world.horizon), EVERY_TICK)
            yield None
            works = []
            if world.database.schedules[name] != instant and world.bug != "cron checked, then created":
                continue  # another orchestrator was first: the row's next instant is compared
            if world.bug == "cron checked, then created":
                if (name, instant) in world.database.ticks:
                    continue
                yield None
            ticks = found.ticks if world.bug != "next tick from now" else found.ticks[:1]
            for tick in ticks:
                world.watch.ticked(name, tick.instant)
                run = world.new_run("ticked")
                world.database.ticks[name, tick.instant] = run
                works.append(prepare(world, "ticked", run))
            world.database.commit(works, world.now)
            assert found.next_instant is not None
            world.database.schedules[name] = found.next_instant
        yield None
