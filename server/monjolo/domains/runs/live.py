"""Runs as they move, for who looks on: topics of the bus become server-sent events."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from monjolo.bus.port import Bus
from monjolo.domains.runs import queries
from monjolo.domains.runs.changes import Changes
from monjolo.domains.runs.codec import error_to_json
from monjolo.domains.runs.logs import LogStore, Place
from monjolo.http.auth import Principal
from monjolo.http.sse import Event
from monjolo.kit.errors import InvalidInput
from monjolo.kit.time import to_rfc3339
from monjolo.storage.port import Database

_PAGE = 500
_PAGES_KNOWN = 10  # lines that came while earlier pages were read must not come twice


class LiveRuns:
    """Publishes what the gate stored, as far as anybody listens."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def run_changed(self, changes: Changes) -> None:
        if not self._bus.heard:
            return
        entry = changes.entry
        own, flow = f"run:{entry.state.run_id}", f"flow:{entry.flow.slug}"
        if self._bus.wants(own):
            for key, step in changes.steps.items():
                shown = {
                    "step": key,
                    "status": str(step.status),
                    "reason": step.reason,
                    "attempt": step.attempt,
                    "error": error_to_json(step.error),
                    "started_at": None if step.started_at is None else to_rfc3339(step.started_at),
                    "finished_at": None if step.finished_at is None else to_rfc3339(step.finished_at),
                }
                self._bus.publish(own, "step.updated", shown)
        for topic in ("runs", flow, own):  # after its steps: a stream ends with `run.finished`
            if self._bus.wants(topic) and (changes.head is not None or changes.row is not None):
                self._bus.publish(topic, _kind(changes), _run(changes))


def _kind(changes: Changes) -> str:
    if changes.ended:
        return "run.finished"
    return "run.updated" if changes.row is None else "run.created"


def _run(changes: Changes) -> dict[str, Any]:
    entry, head = changes.entry, changes.entry.state.head
    return {
        "id": entry.state.run_id,
        "number": entry.number,
        "flow": entry.flow.slug,
        "status": str(head.status),
        "reason": head.reason,
        "trigger": entry.trigger_type,
        "error": error_to_json(head.error),
        "at": to_rfc3339(changes.at),
    }


async def run_events(
    run_id: str, after: str | None, logs: LogStore, bus: Bus, database: Database, workspace_id: str
) -> AsyncIterator[Event]:
    """First all lines logged so far, then steps and lines as they come; ends with the run.

    An event's id is the place of its last log line, so that a client that comes back misses none.
    """
    place = _place(after)
    sent: deque[set[tuple[Any, ...]]] = deque(maxlen=_PAGES_KNOWN)
    subscription = bus.subscribe([f"run:{run_id}"])
    try:
        while True:
            # The run is read before its lines: when it had ended by then, they are all there.
            run = await database.read(lambda c: queries.get(c, workspace_id, run_id))
            yield Event(run, "run.updated")
            more = True
            while more:
                lines, place, more = await logs.read_on(run_id, place, _PAGE)
                sent.append({_line_name(line) for line in lines})
                if lines:
                    yield Event({"lines": lines}, "log", None if place is None else place.text())
            if run["status"] in queries.ENDED:
                yield Event(run, "run.finished")
                return
            async for event in subscription:
                if event.kind == "lagged":  # the rest is in the database
                    break
                data = event.data
                if event.kind == "log":
                    new = [line for line in data["lines"] if not any(_line_name(line) in page for page in sent)]
                    data = {"lines": new}
                    if not new:
                        continue
                yield Event(data, event.kind)
                if event.kind == "run.finished":
                    return
    finally:
        subscription.close()


def _line_name(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return (line["step"], line["attempt"], line["line"], line["at"])


def _place(after: str | None) -> Place | None:
    if after is None:
        return None
    try:
        return Place.parse(after)
    except ValueError as error:
        raise InvalidInput("Last-Event-ID is not one that this stream gave.", code="bad_event_id") from error


async def checked_topics(text: str, principal: Principal, database: Database) -> list[str]:
    """Topics that exist and that this principal may see. Raises InvalidInput, NotFound."""
    topics = [topic for topic in text.split(",") if topic]
    for topic in topics:
        kind, _, name = topic.partition(":")
        if kind == "run" and name:
            await database.read(lambda c, n=name: queries.get(c, principal.workspace_id, n))  # type: ignore[misc]
        elif topic not in ("runs", "system") and not (kind == "flow" and name):
            raise InvalidInput(
                f"There is no topic {topic}; there are runs, run:ID, flow:SLUG and system.", code="unknown_topic"
            )
    if not topics:
        raise InvalidInput("topics names at least one topic.", code="no_topics")
    return topics


async def topic_events(topics: list[str], after: str | None, bus: Bus) -> AsyncIterator[Event]:
    """Begins with `listening`, whose id lets a client that heard nothing yet come back; `lagged`: read it all again."""
    number = int(after) if after is not None and after.isdecimal() else None
    subscription = bus.subscribe(topics, number)
    try:
        yield Event({"topics": topics}, "listening", str(bus.number if number is None else number))
        async for event in subscription:
            yield Event({"topic": event.topic, **event.data}, event.kind, str(event.number))
    finally:
        subscription.close()
