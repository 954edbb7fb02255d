"""The front door of runs: parse, one call, answer. Starting a run is a raw route: it is the hot path."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse

from monjolo.blobs.port import Blobs
from monjolo.bus.port import Bus
from monjolo.domains.flows.service import FlowsService
from monjolo.domains.runs import background, downloads, live, log_endpoints, queries, why
from monjolo.domains.runs.bulk import LIVE, BulkRuns
from monjolo.domains.runs.logs import LogStore
from monjolo.domains.runs.models import NewRun, PreparedRun, RepeatWish
from monjolo.domains.runs.schemas import CancelRun, ManyRuns, RepeatRun, RunFilter, StartRun, StartRuns
from monjolo.domains.runs.service import RunsService
from monjolo.domains.runs.workers import WorkersBook
from monjolo.http.auth import Principal, principal_of, require
from monjolo.http.hot import add_hot_route, json_response, read_json
from monjolo.http.paging import Number, PageQuery, answer, decode_cursor, encode_cursor, instant_of, page_of, page_query
from monjolo.http.sse import EventStream, last_event_id
from monjolo.kit.errors import InvalidInput, Problem
from monjolo.kit.time import Clock, parse_duration
from monjolo.storage.port import Database

Reader = Annotated[Principal, Depends(require("runs:read"))]
Runner = Annotated[Principal, Depends(require("runs:write"))]
System = Annotated[Principal, Depends(require("system:read"))]
Page = Annotated[PageQuery, Depends(page_query)]
COUNTED = 10_000


def router(
    runs: RunsService,
    flows: FlowsService,
    logs: LogStore,
    workers: WorkersBook,
    blobs: Blobs,
    bus: Bus,
    database: Database,
    clock: Clock,
) -> APIRouter:
    routes = APIRouter()
    _starting(routes, runs, flows, database)
    _listing(routes, flows, database)
    _reading(routes, database)
    _artifacts(routes, blobs, database)
    _changing(routes, runs, database)
    _bulk(routes, BulkRuns(database, runs, clock), flows)
    log_endpoints.add(routes, logs, database, clock)
    _watching(routes, logs, bus, workers, database, clock)
    return routes


# --- starting -----------------------------------------------------------------------------------------------


def _starting(routes: APIRouter, runs: RunsService, flows: FlowsService, database: Database) -> None:
    async def start(request: Request) -> Response:
        """Accepts a run; with `?wait=30s` answers with its result."""
        principal = principal_of(request)
        body = _body(StartRun, await read_json(request))
        flow_id = await flows.id_of(principal.workspace_id, request.path_params["slug"])
        wait = _wait(request.query_params.get("wait"))
        new = NewRun(
            flow_id=flow_id,
            inputs=body.inputs,
            trigger={"type": "manual", "actor": principal.user_id},
            version=body.version,
            labels=body.labels,
            actor=principal.user_id,
            idempotency_key=_key(request),
            priority=body.priority,
        )
        [run] = await runs.accept([new])
        if wait is None:
            return json_response(await _accepted(database, principal, run), 202, _location(run))
        result, ended = await runs.result(principal.workspace_id, run.effective_id, wait)
        return json_response(result, 200 if ended else 202, _location(run))

    async def start_many(request: Request) -> Response:
        """Accepts up to 1,000 runs at once, all or nothing."""
        principal = principal_of(request)
        body = _body(StartRuns, await read_json(request))
        flow_id = await flows.id_of(principal.workspace_id, request.path_params["slug"])
        trigger = {"type": "manual", "actor": principal.user_id}
        accepted = await runs.accept(
            [
                NewRun(
                    flow_id,
                    item.inputs,
                    trigger,
                    None,
                    item.labels,
                    actor=principal.user_id,
                    idempotency_key=item.idempotency_key,
                    priority=item.priority,
                )
                for item in body.items
            ]
        )
        items = [{"id": run.effective_id, "number": run.number, "status": _status(run)} for run in accepted]
        return json_response({"items": items}, 202)

    add_hot_route(routes, "POST", "/flows/{slug}/runs", start, needs="runs:write", openapi=_START)
    add_hot_route(routes, "POST", "/flows/{slug}/runs/bulk", start_many, needs="runs:write", openapi=_BULK)


def _body(model: type[Any], given: Any) -> Any:
    try:
        return model.model_validate(given or {})
    except ValidationError as error:
        problems = [Problem(".".join(map(str, fault["loc"])), fault["type"], fault["msg"]) for fault in error.errors()]
        raise InvalidInput("The body does not have the form that is needed.", errors=problems) from error


def _wait(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidInput(f"wait: {error}", code="bad_duration") from error


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 200:
        raise InvalidInput("Idempotency-Key must have 1 to 200 characters.", code="bad_idempotency_key")
    return key


def _status(run: PreparedRun) -> str:
    return str(run.entry.state.head.status)


def _location(run: PreparedRun) -> dict[str, str]:
    return {"location": f"/api/v1/runs/{run.effective_id}"}


async def _accepted(database: Database, principal: Principal, run: PreparedRun) -> dict[str, Any]:
    if run.duplicate_of is None:
        return {"id": run.id, "number": run.number, "status": _status(run)}
    first = await database.read(lambda c: queries.get(c, principal.workspace_id, run.effective_id))
    return {"id": first["id"], "number": first["number"], "status": first["status"], "duplicate": True}


def _described(summary: str, schema: dict[str, Any], status: str) -> dict[str, Any]:
    return {
        "tags": ["runs"],
        "summary": summary,
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {status: {"description": "Accepted", "content": {"application/json": {}}}},
    }


_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 200}}
_START = _described("Start a run", StartRun.model_json_schema(), "202")
_START["parameters"] = [
    {"name": "slug", "in": "path", "required": True, "schema": {"type": "string"}},
    {"name": "wait", "in": "query", "schema": {"type": "string", "examples": ["30s"]}},
    _KEY,
]
_BULK = _described("Start many runs, all or nothing", StartRuns.model_json_schema(), "202")
_BULK["parameters"] = [{"name": "slug", "in": "path", "required": True, "schema": {"type": "string"}}]


# --- reading ------------------------------------------------------------------------------------------------


def _listing(routes: APIRouter, flows: FlowsService, database: Database) -> None:
    @routes.get("/runs", tags=["runs"])
    async def list_runs(
        principal: Reader,
        page: Page,
        flow: str | None = None,
        number: Number | None = None,
        status: Annotated[list[str] | None, Query()] = None,
        trigger: str | None = None,
        q: Annotated[str | None, Query(max_length=200)] = None,
        from_: Annotated[str | None, Query(alias="from")] = None,
        to: str | None = None,
        parent: str | None = None,
        count: bool = False,
    ) -> Response:
        """Runs, the newest first. `count=true` adds `total`, or `total_at_least` above ten thousand."""
        workspace = principal.workspace_id
        given = RunFilter.model_construct(
            flow=flow, number=number, status=status, trigger=trigger, q=q, from_=from_, to=to, parent=parent
        )
        filters = await _filters(flows, workspace, given)
        key = page.key(str)
        before = None if key is None else str(key[0])
        rows = await database.read(lambda c: queries.list_runs(c, workspace, filters, before, page.limit + 1))
        shown, following = page_of(rows, page, lambda row: (row["id"],))
        totals: dict[str, int] = {}
        if count:
            found = await database.read(lambda c: queries.count_runs(c, workspace, filters, COUNTED + 1))
            totals = {"total": found} if found <= COUNTED else {"total_at_least": COUNTED}
        return json_response(answer([queries.brief(row) for row in shown], following, **totals))


async def _filters(flows: FlowsService, workspace_id: str, given: RunFilter) -> dict[str, Any]:
    statuses = [given.status] if isinstance(given.status, str) else given.status
    return {
        "flow_id": None if given.flow is None else await flows.id_of(workspace_id, given.flow),
        "number": given.number,
        "status": _statuses(statuses),
        "trigger": given.trigger,
        "q": given.q,
        "from": None if given.from_ is None else instant_of(given.from_, "from"),
        "to": None if given.to is None else instant_of(given.to, "to"),
        "parent": given.parent,
    }


def _reading(routes: APIRouter, database: Database) -> None:
    @routes.get("/runs/{run_id}", tags=["runs"])
    async def get_run(principal: Reader, run_id: str) -> Response:
        return json_response(await database.read(lambda c: queries.get(c, principal.workspace_id, run_id)))

    @routes.get("/runs/{run_id}/steps", tags=["runs"])
    async def list_steps(
        principal: Reader,
        run_id: str,
        page: Page,
        items_of: Annotated[str | None, Query(max_length=500)] = None,
        attempts: bool = False,
    ) -> Response:
        """The steps that have begun, with `attempts=true` each with its attempts.

        Items of a `for_each` or `while` are listed with `items_of=its key`.
        """
        key = page.key(str)
        after = "" if key is None else str(key[0])

        def read(connection: Any) -> list[dict[str, Any]]:
            queries.get(connection, principal.workspace_id, run_id)
            found = queries.steps_of(connection, run_id, after, page.limit + 1, items_of)
            if attempts and found:
                made = queries.attempts_between(connection, run_id, found[0]["key"], found[-1]["key"])
                found = [{**step, "attempts": made.get(step["key"], [])} for step in found]
            return found

        steps = await database.read(read)
        shown, following = page_of(steps, page, lambda step: (step["key"],))
        return json_response(answer(list(shown), following))

    @routes.get("/runs/{run_id}/steps/{key}", tags=["runs"])
    async def get_step(principal: Reader, run_id: str, key: str) -> Response:
        """One step whole: its output and every attempt."""

        def read(connection: Any) -> dict[str, Any]:
            queries.get(connection, principal.workspace_id, run_id)
            output = queries.output_of(connection, run_id, key)
            return {"key": key, "output": output, "attempts": queries.attempts_of(connection, run_id, key)}

        return json_response(await database.read(read))

    @routes.get("/runs/{run_id}/why", tags=["runs"])
    async def explain(principal: Reader, run_id: str) -> Response:
        """One sentence that says why the run is where it is."""
        return json_response(await database.read(lambda c: why.explain(c, principal.workspace_id, run_id)))

    @routes.get("/runs/{run_id}/background", tags=["runs"])
    async def tell_background(principal: Reader, run_id: str) -> Response:
        """The runs around it, how long one usually takes and, of a failure, what changed since the last good run."""
        return json_response(await database.read(lambda c: background.of(c, principal.workspace_id, run_id)))


def _artifacts(routes: APIRouter, blobs: Blobs, database: Database) -> None:
    @routes.get("/runs/{run_id}/artifacts", tags=["runs"])
    async def list_artifacts(principal: Reader, run_id: str) -> Response:
        def read(connection: Any) -> list[dict[str, Any]]:
            queries.get(connection, principal.workspace_id, run_id)
            return queries.artifacts_of(connection, run_id)

        return json_response({"items": await database.read(read)})

    @routes.get("/runs/{run_id}/artifacts/{name}", tags=["runs"])
    async def get_artifact(principal: Reader, run_id: str, name: str, step: str | None = None) -> Response:
        """The artifact's content, always as an attachment."""

        def read(connection: Any) -> Any:
            queries.get(connection, principal.workspace_id, run_id)
            return queries.artifact(connection, run_id, name, step)

        return downloads.artifact(await database.read(read), blobs)


def _statuses(given: list[str] | None) -> list[str]:
    statuses = [status for text in given or [] for status in text.split(",")]
    known = {*queries.ENDED, "queued", "running", "waiting", "cancelling"}
    unknown = [status for status in statuses if status not in known]
    if unknown:
        raise InvalidInput(f"{unknown[0]} is no status; there are {', '.join(sorted(known))}.", code="bad_status")
    return statuses


# --- changing -----------------------------------------------------------------------------------------------


def _changing(routes: APIRouter, runs: RunsService, database: Database) -> None:
    @routes.post("/runs/{run_id}/cancel", tags=["runs"], status_code=202)
    async def cancel(principal: Runner, run_id: str, body: CancelRun | None = None) -> Response:
        """Asks the run, and everything below it, to end. A run that has ended stays as it is."""
        wish = body or CancelRun(force=False, reason="cancelled")
        workspace, who = principal.workspace_id, principal.user_id
        await runs.cancel(workspace, run_id, reason=wish.reason, force=wish.force, actor=who)
        run = await database.read(lambda c: queries.get(c, principal.workspace_id, run_id))
        return json_response({"id": run_id, "status": run["status"]}, 202)

    @routes.post("/runs/{run_id}/repeat", tags=["runs"], status_code=202, openapi_extra={"parameters": [_KEY]})
    async def repeat(principal: Runner, run_id: str, request: Request, body: RepeatRun | None = None) -> Response:
        """A new run like this one: from the start or from a step, with its inputs or others."""
        given = body or RepeatRun.model_validate({})
        wish = RepeatWish(given.from_step, given.inputs, given.version == "newest", given.priority)
        run = await runs.repeat(principal.workspace_id, run_id, wish, actor=principal.user_id, key=_key(request))
        answered = {**await _accepted(database, principal, run), "repeat_of": run_id}
        return json_response(answered, 202, _location(run))


def _bulk(routes: APIRouter, bulk: BulkRuns, flows: FlowsService) -> None:
    @routes.post("/runs/bulk", tags=["runs"], status_code=202, openapi_extra={"parameters": [_KEY]})
    async def many(principal: Runner, request: Request, body: ManyRuns) -> Response:
        """Cancels or repeats what a filter finds, a thousand at most; `next` is where the following call goes on.

        With an `Idempotency-Key` nothing is done twice; send the same key with every page.
        """
        workspace, key = principal.workspace_id, _key(request)
        filters = await _filters(flows, workspace, body.filter)
        if not any(value not in (None, [], "") for value in filters.values()):
            raise InvalidInput("The filter is empty: say which runs are meant, by flow or status.", code="empty_filter")
        if body.action == "cancel":
            filters["status"] = _live(filters["status"])
        if body.dry_run:
            return json_response({"action": body.action, **await bulk.preview(workspace, filters)})
        before = await bulk.bound(workspace, body.model_dump(mode="json", exclude={"limit", "after"}), key)
        if body.after is not None:
            before = min(before, str(decode_cursor(body.after, (str,))[0]))
        if body.action == "cancel":
            page, last = await bulk.cancel(workspace, filters, before, body.limit, reason=body.reason, force=body.force)
        else:
            wish = RepeatWish(body.from_step, None, body.version == "newest", body.priority)
            page, last = await bulk.repeat(
                workspace, filters, before, body.limit, wish, actor=principal.user_id, key=key
            )
        await bulk.note(workspace, body.action, body.filter, len(page["items"]), principal.user_id)
        following = None if last is None else encode_cursor((last,))
        return json_response({"action": body.action, **page, "next": following}, 202)


def _live(statuses: list[str]) -> list[str]:
    """Only what has not ended can be cancelled."""
    chosen = [status for status in statuses or LIVE if status in LIVE]
    if not chosen:
        message = f"Runs that are {' or '.join(statuses)} have ended; cancel takes {', '.join(LIVE)}."
        raise InvalidInput(message, code="bad_status")
    return chosen


# --- live events -------------------------------------------------------------------------------------------


def _watching(
    routes: APIRouter, logs: LogStore, bus: Bus, workers: WorkersBook, database: Database, clock: Clock
) -> None:
    @routes.get("/runs/{run_id}/stream", tags=["live"], response_class=StreamingResponse)
    async def stream_run(principal: Reader, run_id: str, request: Request) -> EventStream:
        """What the run has logged, then what it does, until it ends (server-sent events)."""
        await database.read(lambda c: queries.get(c, principal.workspace_id, run_id))
        after = last_event_id(request)
        return EventStream(live.run_events(run_id, after, logs, bus, database, principal.workspace_id))

    @routes.get("/stream", tags=["live"], response_class=StreamingResponse)
    async def stream(
        principal: Reader, request: Request, topics: Annotated[str, Query(max_length=2000)]
    ) -> EventStream:
        """Live events of several topics: `runs`, `run:{id}`, `flow:{slug}`, `system`."""
        wanted = await live.checked_topics(topics, principal, database)
        return EventStream(live.topic_events(wanted, last_event_id(request), bus))

    @routes.get("/workers", tags=["system"])
    async def list_workers(_: System) -> Response:
        return json_response({"items": await workers.list(clock.now())})
