"""Runs in memory, and how they come back from their rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from monjolo.domains.flows.service import FlowsService
from monjolo.domains.runs import codec, repository
from monjolo.domains.runs.models import Entry, ParentStep
from monjolo.engine import graph
from monjolo.engine.types import OUTPUTS_KEPT, State, StepStatus
from monjolo.kit import json
from monjolo.storage.port import Connection, Database


class RunCache:
    """The runs that moved last; any of them can be dropped at any time."""

    def __init__(self, database: Database, flows: FlowsService, kept: int = 5_000) -> None:
        self._database = database
        self._flows = flows
        self._kept = kept
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def put(self, entry: Entry) -> None:
        self._entries[entry.state.run_id] = entry
        self._entries.move_to_end(entry.state.run_id)

    @property
    def full(self) -> bool:
        return len(self._entries) >= self._kept

    def drop(self, run_id: str) -> None:
        self._entries.pop(run_id, None)

    def shrink(self) -> None:
        while len(self._entries) > self._kept:
            self._entries.popitem(last=False)

    async def get_many(self, run_ids: Iterable[str]) -> dict[str, Entry]:
        """The runs that exist; those not in memory are read in one go."""
        wanted = list(dict.fromkeys(run_ids))
        found = {run_id: entry for run_id in wanted if (entry := self._entries.get(run_id)) is not None}
        missing = [run_id for run_id in wanted if run_id not in found]
        if missing:

            def query(connection: Connection) -> list[Any]:
                return [repository.load(connection, run_id) for run_id in missing]

            rows = [loaded for loaded in await self._database.read(query) if loaded is not None]
            await self._flows.at_hand((run["flow_id"], run["version"]) for run, *_ in rows)
            for loaded in rows:
                entry = await self._entry(*loaded)
                found[entry.state.run_id] = entry
                self.put(entry)
        return found

    async def _entry(self, run: Any, steps: list[Any], items: list[Any], outputs: list[Any]) -> Entry:
        flow = await self._flows.compiled(run["flow_id"], run["version"])
        context = json.loads(run["context"])
        reused = codec.reused_from_json(context.pop("reused", {}))
        state = State(
            run_id=run["id"],
            plan=flow.compiled.plan,
            seed=run["seed"],
            created_at=run["created_at"],
            inputs=json.loads(run["inputs"]),
            context=context,
            head=codec.head_from_row(run),
            steps={row["key"]: codec.step_from_row(row) for row in steps},
            items={row["key"]: json.loads(row["items"]) for row in items},
            reused=reused,
        )
        _restore_outputs(state, outputs)
        parent = None
        if run["parent_run_id"]:
            parent = ParentStep(
                run["parent_run_id"], run["parent_key"], run["parent_token"], run["root_run_id"], run["depth"]
            )
        return Entry(
            state,
            run["revision"],
            flow,
            run["workspace_id"],
            run["number"],
            parent,
            run["root_run_id"],
            run["trigger_type"],
            priority=run["priority"],
        )


def _restore_outputs(state: State, rows: list[Any]) -> None:
    """What the ended items of a small fan-out gave, as the engine remembers it."""
    for row in rows:
        fan = graph.parent_of(row["key"])
        if len(state.items.get(fan, ())) > OUTPUTS_KEPT:
            continue
        plan = state.plan.steps[graph.path_of(fan)]
        succeeded = row["status"] == StepStatus.SUCCEEDED
        output = json.loads(row["output"]) if succeeded and row["output"] else None
        if plan.for_each is not None and plan.for_each.on_item_error == "collect":
            error = json.loads(row["error"]) if row["error"] else None
            brief = None if error is None else {"type": error["type"], "message": error["message"]}
            output = {"status": row["status"], "output": output, "error": brief}
        state.item_outputs.setdefault(fan, {})[graph.item_index(row["key"])] = output
