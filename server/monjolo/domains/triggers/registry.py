"""The rows that make a flow start by itself. A trigger is a row with a unique key, never a listener in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monjolo.domains.flows.models import FlowHead
from monjolo.domains.runs import waits
from monjolo.domains.triggers import repository
from monjolo.domains.triggers.models import InternalEvent, Trigger
from monjolo.domains.triggers.timetable import TIMED, timetable
from monjolo.kit.errors import Conflict, InvalidInput, Problem
from monjolo.kit.ids import new_id
from monjolo.storage.port import Connection


class TriggerRegistry:
    """Implements the flows domain's TriggerBook."""

    def replace(self, connection: Connection, flow: FlowHead, triggers: Sequence[Mapping[str, Any]], now: int) -> None:
        """One whose configuration is the same keeps its place in time; a changed one counts from `now`."""
        known = {trigger.name: trigger for trigger in repository.list_of_flow(connection, flow.id)}
        wanted = [dict(config) for config in triggers if config["type"] != "manual"]
        repository.free_paths(connection, flow.id)
        names = {config["id"] for config in wanted}
        repository.delete(connection, [trigger.id for name, trigger in known.items() if name not in names])
        for index, config in enumerate(wanted):
            trigger = _row(flow, config, known.get(config["id"]), now)
            if trigger.path is not None:
                _refuse_taken(connection, flow, trigger, f"triggers[{index}].path")
            repository.put(connection, trigger)

    def set_live(self, connection: Connection, flow_id: str, *, live: bool, now: int) -> None:
        """Nothing ticks while a flow is paused, and nothing of the pause is caught up afterwards."""
        for trigger in repository.list_of_flow(connection, flow_id):
            enabled = live and trigger.config.get("enabled", True) is not False
            repository.put(connection, _timed(replace(trigger, enabled=enabled), now))

    def remove(self, connection: Connection, flow_id: str) -> None:
        repository.delete(connection, [trigger.id for trigger in repository.list_of_flow(connection, flow_id)])

    def tell(self, connection: Connection, workspace_id: str, event: str, data: Mapping[str, Any], now: int) -> None:
        told = InternalEvent(new_id(), workspace_id, event, dict(data), "flows", now)
        repository.insert_event(connection, told)
        waits.tell(connection, workspace_id, told.id, event, now)


def _row(flow: FlowHead, config: dict[str, Any], known: Trigger | None, now: int) -> Trigger:
    kind = config["type"]
    path = (config.get("path") or f"{flow.slug}/{config['id']}").strip("/") if kind == "webhook" else None
    event = config["event"] if kind == "event" else None
    enabled = flow.state == "active" and config.get("enabled", True) is not False
    if known is not None and known.config == config and known.enabled == enabled:
        return replace(known, path=path)
    same_time = known is not None and _times(known.config) == _times(config)
    since = known.since if known is not None and same_time else now
    trigger_id = known.id if known is not None else new_id()
    trigger = Trigger(
        id=trigger_id,
        workspace_id=flow.workspace_id,
        flow_id=flow.id,
        name=config["id"],
        type=kind,
        config=config,
        enabled=enabled,
        path=path,
        event=event,
        next_at=known.next_at if known is not None and same_time else None,
        instant=known.instant if known is not None and same_time else None,
        since=since,
    )
    return trigger if trigger.next_at is not None and enabled else _timed(trigger, now)


_NOT_TIMES = frozenset({"when", "inputs", "enabled", "misfire", "misfire_grace", "misfire_max"})


def _times(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _NOT_TIMES}


def _timed(trigger: Trigger, now: int) -> Trigger:
    """With its next tick after `now`, or none when it is stopped or waits for no time."""
    if not trigger.enabled or trigger.type not in TIMED:
        return replace(trigger, next_at=None, instant=None)
    try:
        table = timetable(trigger.id, trigger.config, trigger.since)
    except ValueError as error:
        problem = Problem(f"triggers.{trigger.name}", "bad_schedule", str(error))
        raise InvalidInput(str(error), code="bad_schedule", errors=[problem]) from error
    instant = table.following(now)
    return replace(trigger, instant=instant, next_at=None if instant is None else table.jitter.fires_at(instant))


def _refuse_taken(connection: Connection, flow: FlowHead, trigger: Trigger, place: str) -> None:
    owner = repository.find_path_owner(connection, flow.workspace_id, trigger.path or "")
    if owner is None:
        return
    whose = "another trigger of this flow" if owner[0] == flow.id else f"the flow {owner[1]!r}"
    detail = f"The webhook path {trigger.path!r} belongs to {whose}: choose another `path`."
    raise Conflict(detail, code="webhook_path_taken", errors=[Problem(place, "webhook_path_taken", detail)])
