"""The front doors of triggers: webhooks, events, ticks and what comes next."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from monjolo.domains.triggers import backfill, catch_up, schemas
from monjolo.domains.triggers.backfill import BackfillService
from monjolo.domains.triggers.catch_up import CatchUpService
from monjolo.domains.triggers.events import EventService
from monjolo.domains.triggers.models import Trigger
from monjolo.domains.triggers.payloads import collected
from monjolo.domains.triggers.service import TriggersService
from monjolo.domains.triggers.signatures import Call
from monjolo.domains.triggers.webhooks import Answer, WebhookService, location
from monjolo.http.auth import Principal, require
from monjolo.http.hot import add_hot_route, json_response, unless_gone
from monjolo.http.paging import PageQuery, decode_cursor, encode_cursor, instant_of, page_of, page_query
from monjolo.kit.time import to_rfc3339

Reader = Annotated[Principal, Depends(require("flows:read"))]
Runner = Annotated[Principal, Depends(require("runs:write"))]
EventWriter = Annotated[Principal, Depends(require("events:write"))]
Page = Annotated[PageQuery, Depends(page_query)]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def router(
    triggers: TriggersService,
    webhooks: WebhookService,
    events: EventService,
    catching_up: CatchUpService,
    backfills: BackfillService,
) -> APIRouter:
    routes = APIRouter(tags=["triggers"])
    _reading(routes, triggers)
    _hooks(routes, webhooks)
    _catching_up(routes, catching_up)
    _backfilling(routes, backfills)

    @routes.post("/events", status_code=202)
    async def post_event(body: schemas.EventInput, who: EventWriter) -> schemas.EventView:
        """Tell the platform that something happened; flows with a trigger for its type start, steps that wait go on."""
        id_, duplicate = await events.post(who.workspace_id, body.type, body.data, id_=body.id, actor=who.user_id)
        return schemas.EventView(id=id_, duplicate=duplicate)

    return routes


def _reading(routes: APIRouter, triggers: TriggersService) -> None:
    @routes.get("/flows/{slug}/triggers")
    async def list_triggers(slug: str, who: Reader) -> schemas.TriggerList:
        """What starts the flow by itself."""
        found = await triggers.triggers(who.workspace_id, slug)
        return schemas.TriggerList(items=[_view(trigger) for trigger in found])

    @routes.get("/flows/{slug}/next")
    async def next_instants(slug: str, who: Reader, count: Annotated[int, Query(ge=1, le=100)] = 5) -> schemas.NextList:
        """When the flow's schedules come next; empty while it is paused."""
        found = await triggers.upcoming(who.workspace_id, slug, count)
        items = [schemas.NextView(trigger=each.trigger, instant=to_rfc3339(each.instant)) for each in found]
        return schemas.NextList(items=items)

    @routes.get("/flows/{slug}/ticks")
    async def list_ticks(
        slug: str, who: Reader, page: Page, status: schemas.TickStatusName | None = None
    ) -> schemas.TickPage:
        """What became of each due instant, the newest first."""
        key = page.key(int, str)
        found = await triggers.ticks(
            who.workspace_id,
            slug,
            before=(int(key[0]), str(key[1])) if key else None,
            status=status,
            limit=page.limit + 1,
        )
        more = None
        if len(found) > page.limit:
            last = found[page.limit - 1][0]
            more = encode_cursor((last.instant, last.trigger_id))
        return schemas.TickPage(items=[schemas.tick_view(*each) for each in found[: page.limit]], next=more)


def _view(trigger: Trigger) -> schemas.TriggerView:
    return schemas.TriggerView(
        id=trigger.id,
        name=trigger.name,
        type=trigger.type,
        enabled=trigger.enabled,
        next_at=None if trigger.next_at is None else to_rfc3339(trigger.next_at),
        url=None if trigger.path is None else f"/api/v1/hooks/{trigger.path}",
        event=trigger.event,
    )


# --- the past -----------------------------------------------------------------------------------------------


def _catching_up(routes: APIRouter, service: CatchUpService) -> None:
    @routes.post("/flows/{slug}/ticks/catch-up", status_code=202)
    async def catch_up_ticks(slug: str, body: schemas.CatchUpInput, who: Runner) -> schemas.CatchUpView:
        """Run ticks that made no run: each once, the oldest first, with its own instant as `trigger.instant`."""
        key = None if body.after is None else decode_cursor(body.after, (int, str))
        asked = catch_up.Asked(
            limit=body.limit if body.ticks is None else len(body.ticks),
            named=[(tick.trigger, instant_of(tick.instant, "instant")) for tick in body.ticks or ()],
            trigger=body.trigger,
            low=None if body.from_ is None else instant_of(body.from_, "from"),
            high=None if body.to is None else instant_of(body.to, "to"),
            statuses=body.status,
            after=(int(key[0]), str(key[1])) if key else None,
        )
        done, following = await service.catch_up(who.workspace_id, slug, asked, actor=who.user_id)
        items = [
            schemas.CaughtUpView(**schemas.tick_view(each.tick, each.trigger).model_dump(), new=each.new)
            for each in done
        ]
        return schemas.CatchUpView(items=items, next=encode_cursor(following) if following else None)


def _backfilling(routes: APIRouter, service: BackfillService) -> None:
    @routes.post(
        "/flows/{slug}/backfill",
        status_code=202,
        responses={
            200: {"model": schemas.PlanView, "description": "With `dry_run`: what it would do"},
            202: {"model": schemas.BackfillView},
        },
    )
    async def start_backfill(
        slug: str,
        body: schemas.BackfillInput,
        who: Runner,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> Response:
        """Run a schedule's instants of a span of the past; with `dry_run` tell what that would be."""
        asked = backfill.Asked(
            low=instant_of(body.from_, "from"),
            high=instant_of(body.to, "to"),
            trigger=body.trigger,
            reprocess=body.reprocess,
            direction=body.order,
            max_active=body.max_active,
            idempotency_key=idempotency_key,
        )
        if body.dry_run:
            plan = await service.plan(who.workspace_id, slug, asked)
            return json_response(schemas.plan_view(plan).model_dump())
        made = await service.start(who.workspace_id, slug, asked, actor=who.user_id)
        where = {"location": f"/api/v1/flows/{slug}/backfills/{made.id}"}
        return json_response(schemas.backfill_view(made, slug).model_dump(by_alias=True), 202, where)

    @routes.get("/flows/{slug}/backfills")
    async def list_backfills(slug: str, who: Reader, page: Page) -> schemas.BackfillPage:
        """The flow's backfills with their progress, the newest first."""
        key = page.key(str)
        before = None if key is None else str(key[0])
        found = await service.backfills(who.workspace_id, slug, before, page.limit + 1)
        shown, following = page_of(found, page, lambda each: (each.id,))
        return schemas.BackfillPage(items=[schemas.backfill_view(each, slug) for each in shown], next=following)

    @routes.get("/flows/{slug}/backfills/{backfill_id}")
    async def get_backfill(slug: str, backfill_id: str, who: Reader) -> schemas.BackfillView:
        """One backfill with its progress."""
        return schemas.backfill_view(await service.get(who.workspace_id, slug, backfill_id), slug)

    @routes.post("/flows/{slug}/backfills/{backfill_id}/cancel", status_code=202)
    async def cancel_backfill(slug: str, backfill_id: str, who: Runner) -> schemas.BackfillView:
        """It starts no further run; those that are live go on."""
        cancelled = await service.cancel(who.workspace_id, slug, backfill_id, actor=who.user_id)
        return schemas.backfill_view(cancelled, slug)


def _hooks(routes: APIRouter, webhooks: WebhookService) -> None:
    async def receive(request: Request) -> Response:
        answer = await webhooks.receive(await _call(request))
        if answer.id is None:
            return json_response(_brief(answer))
        run = await unless_gone(request, webhooks.outcome(answer)) if answer.wait else None
        if run is not None:
            return json_response(run["outputs"], 200, location(answer.id))
        return json_response(_brief(answer), 202, location(answer.id))

    for method in METHODS:
        add_hot_route(routes, method, "/hooks/{path:path}", receive, needs=None, openapi=_described(method))


def _brief(answer: Answer) -> dict[str, Any]:
    content = {"id": answer.id, "number": answer.number, "status": answer.status}
    return content if answer.reason is None else {**content, "reason": answer.reason}


async def _call(request: Request) -> Call:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Call(
        method=request.method,
        path=request.path_params["path"].strip("/"),
        query=collected(list(request.query_params.multi_items())),
        headers=headers,
        body=await request.body(),
    )


def _described(method: str) -> dict[str, object]:
    schema = schemas.HookView.model_json_schema()
    return {
        "operationId": f"receive_webhook_{method.lower()}",
        "summary": "A call from outside starts a run",
        "description": "Authenticated by the rule of the webhook's own trigger.",
        "tags": ["triggers"],
        "responses": {
            "200": {
                "description": "With `respond: sync`: the outputs of the run; else the trigger's `when` was false",
                "content": {"application/json": {}},
            },
            "202": {"description": "Accepted", "content": {"application/json": {"schema": schema}}},
        },
    }
