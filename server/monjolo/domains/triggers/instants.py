"""Runs for single instants of a trigger: wished for, prepared, and said why where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monjolo.domains.runs.models import NewRun
from monjolo.domains.triggers.models import Runs, Trigger
from monjolo.domains.triggers.wishes import Declined, Wishes
from monjolo.kit.errors import Conflict, MonjoloError
from monjolo.kit.time import to_rfc3339


async def prepare_each(runs: Runs, workspace_id: str, new: Sequence[NewRun]) -> list[Any]:
    """Prepared runs in the order of the wishes; in the place of one that cannot be made, its MonjoloError."""
    try:
        return list(await runs.prepare(workspace_id, new))
    except MonjoloError as error:
        if len(new) == 1:
            return [error]
    middle = len(new) // 2  # one bad among many: halve until it stands alone
    return [
        *await prepare_each(runs, workspace_id, new[:middle]),
        *await prepare_each(runs, workspace_id, new[middle:]),
    ]


def facts_of(trigger: Trigger, instant: int) -> dict[str, Any]:
    """What the run of an instant knows as `trigger`, whenever it was made."""
    return {"type": trigger.type, "id": trigger.name, "instant": to_rfc3339(instant)}


async def runs_of_instants(
    runs: Runs,
    wishes: Wishes,
    asked: Sequence[tuple[Trigger, int]],
    actor: str,
    labels: Mapping[str, str],
) -> list[Any]:
    """For each trigger and instant a prepared run, or Declined. Raises Conflict when the flow is paused."""
    found: list[Any] = []
    for trigger, instant in asked:
        try:
            found.append(await wishes.of(trigger, facts_of(trigger, instant)))
        except MonjoloError as error:
            found.append(Declined(error.code, error.detail))
    places = [place for place, wish in enumerate(found) if isinstance(wish, NewRun)]
    new = [found[place]._replace(actor=actor, labels=dict(labels)) for place in places]
    made = await prepare_each(runs, asked[0][0].workspace_id, new) if new else []
    for place, run in zip(places, made, strict=True):
        if isinstance(run, MonjoloError):
            if run.code == "flow_paused":
                raise Conflict(run.detail, code="flow_paused")
            run = Declined(run.code, run.detail)
        found[place] = run
    return found
