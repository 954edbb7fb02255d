"""The front door of flows: parse, one call of the service, answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from monjolo import flow_document
from monjolo.domains.flows import schemas
from monjolo.domains.flows.diff import document_diff, text_diff
from monjolo.domains.flows.models import FlowHead
from monjolo.domains.flows.service import FlowsService
from monjolo.http.auth import Principal, require
from monjolo.http.etag import IfMatch, etag, if_match
from monjolo.http.paging import Number, PageQuery, encode_cursor, page_query

Reader = Annotated[Principal, Depends(require("flows:read"))]
Writer = Annotated[Principal, Depends(require("flows:write"))]
Page = Annotated[PageQuery, Depends(page_query)]
Match = Annotated[IfMatch, Depends(if_match)]
State = Literal["active", "paused", "draft"]


def router(flows: FlowsService) -> APIRouter:
    routes = APIRouter(tags=["flows"])
    _reading(routes, flows)
    _publishing(routes, flows)
    _changing(routes, flows)
    _versions(routes, flows)
    return routes


def _tag(response: Response, head: FlowHead) -> None:
    response.headers["ETag"] = etag(head.revision)


def _reading(routes: APIRouter, flows: FlowsService) -> None:
    @routes.get("/schemas/flow.json")
    async def flow_schema() -> dict[str, Any]:
        """The JSON Schema of a flow, for editors."""
        return flow_document.json_schema()

    @routes.get("/flows")
    async def list_flows(
        who: Reader,
        page: Page,
        state: State | None = None,
        q: Annotated[str | None, Query(max_length=200)] = None,
        label: Annotated[str | None, Query(max_length=200, description="`key` or `key:value`")] = None,
    ) -> schemas.FlowPage:
        key = page.key(str)
        name, _, value = (label or "").partition(":")
        found, total = await flows.list_flows(
            who.workspace_id,
            state=state,
            q=q,
            label=(name, value or None) if label else None,
            after=str(key[0]) if key else None,
            limit=page.limit + 1,
        )
        more = encode_cursor((found[page.limit - 1].slug,)) if len(found) > page.limit else None
        items = [schemas.flow_view(head) for head in found[: page.limit]]
        return schemas.FlowPage(items=items, next=more, total=total)

    @routes.get("/flows/{slug}")
    async def get_flow(slug: str, who: Reader, response: Response) -> schemas.FlowDetail:
        head, version = await flows.current(who.workspace_id, slug)
        _tag(response, head)
        return schemas.flow_detail(head, version)

    @routes.get("/flows/{slug}/export", response_class=Response)
    async def export_flow(slug: str, who: Reader, version: Number | None = None) -> Response:
        """The flow's text, as it was written."""
        if version is None:
            _, found = await flows.current(who.workspace_id, slug)
        else:
            found = await flows.version(who.workspace_id, slug, version)
        name = f"{slug}.yaml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(found.source, media_type="application/yaml; charset=utf-8", headers=headers)


def _publishing(routes: APIRouter, flows: FlowsService) -> None:
    @routes.post("/flows/validate")
    async def validate_flow(body: schemas.SourceInput, who: Reader) -> schemas.ProblemsView:
        """What is wrong with a flow's text, with places; nothing is stored."""
        return schemas.problems_view(await flows.validate(who.workspace_id, body.source))

    @routes.post("/flows/diff")
    async def diff_flow(body: schemas.SourceInput, who: Reader) -> schemas.DiffView:
        """What publishing a text would change of its flow (`a` is 0 when that is new); nothing is stored."""
        before, document = await flows.compare(who.workspace_id, body.source)
        slug, number = document["id"], before.number if before else 0
        changes = [schemas.change_view(change) for change in document_diff(before.document if before else {}, document)]
        old = f"{slug} version {number}" if before else f"no {slug}"
        text = text_diff(before.source if before else "", body.source, before_name=old, after_name=f"{slug} as given")
        return schemas.DiffView(a=number, b=number + 1, changes=changes, text=text)

    @routes.post("/flows", status_code=201, responses={200: {"model": schemas.PublishedView}})
    async def create_flow(
        body: schemas.FlowInput, who: Writer, response: Response, draft: bool = False, replace: bool = False
    ) -> schemas.PublishedView:
        """Publish a new flow; with `replace` also the next version of one that is there already (then 200)."""
        published = await flows.publish(
            who.workspace_id,
            source=body.source,
            document=body.document,
            message=body.message,
            draft=draft,
            actor=who.user_id,
            new=not replace,
        )
        _tag(response, published.head)
        response.status_code = 201 if published.created else 200
        response.headers["Location"] = f"/api/v1/flows/{published.head.slug}"
        return schemas.published_view(published)

    @routes.put("/flows/{slug}", responses={201: {"model": schemas.PublishedView}})
    async def put_flow(
        slug: str, body: schemas.FlowInput, who: Writer, match: Match, response: Response, draft: bool = False
    ) -> schemas.PublishedView:
        """Publish the flow's next version (201 when the flow is new); the same document makes no new one."""
        published = await flows.publish(
            who.workspace_id,
            source=body.source,
            document=body.document,
            slug=slug,
            message=body.message,
            draft=draft,
            actor=who.user_id,
            expects=match.check,
        )
        _tag(response, published.head)
        response.status_code = 201 if published.created else 200
        return schemas.published_view(published)


def _changing(routes: APIRouter, flows: FlowsService) -> None:
    @routes.delete("/flows/{slug}", status_code=204)
    async def delete_flow(slug: str, who: Writer, match: Match, force: bool = False) -> None:
        """Refused while runs of it are live, unless `force`; they then go on to their end."""
        await flows.delete(who.workspace_id, slug, actor=who.user_id, force=force, expects=match.check)

    @routes.post("/flows/{slug}/pause")
    async def pause_flow(
        slug: str, who: Writer, match: Match, response: Response, body: schemas.PauseInput | None = None
    ) -> schemas.FlowView:
        """Nothing starts it any more until it is resumed; accepted runs go on."""
        reason = body.reason if body else None
        head = await flows.pause(who.workspace_id, slug, reason, actor=who.user_id, expects=match.check)
        _tag(response, head)
        return schemas.flow_view(head)

    @routes.post("/flows/{slug}/resume")
    async def resume_flow(slug: str, who: Writer, match: Match, response: Response) -> schemas.FlowView:
        """Its triggers count from now; nothing of the pause is caught up."""
        head = await flows.resume(who.workspace_id, slug, actor=who.user_id, expects=match.check)
        _tag(response, head)
        return schemas.flow_view(head)


def _versions(routes: APIRouter, flows: FlowsService) -> None:
    @routes.get("/flows/{slug}/versions")
    async def list_versions(slug: str, who: Reader, page: Page) -> schemas.VersionPage:
        """Newest first."""
        key = page.key(int)
        before = int(key[0]) if key else None
        found, total = await flows.versions(who.workspace_id, slug, before=before, limit=page.limit + 1)
        more = encode_cursor((found[page.limit - 1].number,)) if len(found) > page.limit else None
        items = [schemas.version_view(version) for version in found[: page.limit]]
        return schemas.VersionPage(items=items, next=more, total=total)

    @routes.get("/flows/{slug}/versions/diff")
    async def diff_versions(slug: str, who: Reader, a: Number, b: Number) -> schemas.DiffView:
        """What version `b` changes of version `a`: by meaning, and as unified text."""
        before = await flows.version(who.workspace_id, slug, a)
        after = await flows.version(who.workspace_id, slug, b)
        changes = [schemas.change_view(change) for change in document_diff(before.document, after.document)]
        text = text_diff(
            before.source, after.source, before_name=f"{slug} version {a}", after_name=f"{slug} version {b}"
        )
        return schemas.DiffView(a=a, b=b, changes=changes, text=text)

    @routes.get("/flows/{slug}/versions/{number}")
    async def get_version(slug: str, number: Number, who: Reader) -> schemas.VersionDetail:
        return schemas.version_detail(await flows.version(who.workspace_id, slug, number))

    @routes.post("/flows/{slug}/versions/{number}/restore")
    async def restore_version(
        slug: str, number: Number, who: Writer, match: Match, response: Response
    ) -> schemas.PublishedView:
        """Publish an old version's text as the newest version."""
        published = await flows.restore(who.workspace_id, slug, number, actor=who.user_id, expects=match.check)
        _tag(response, published.head)
        return schemas.published_view(published)
