"""The front door of the modules: parse, one call of the service, answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from monjolo.domains.modules.schemas import (
    ActionView,
    ModuleList,
    ModuleSummary,
    ModuleView,
    OutcomeView,
    TryAction,
    UploadedSource,
    action_view,
    fault_view,
    module_view,
    outcome_view,
    summary,
)
from monjolo.domains.modules.service import ModuleService
from monjolo.domains.modules.sources import MAX_FILE_BYTES
from monjolo.http.auth import Principal, require
from monjolo.kit.errors import InvalidInput, PayloadTooLarge, Problem

_MAX_BODY = 2 * MAX_FILE_BYTES  # JSON escapes and the multipart frame come on top
_UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}},
            },
        },
        "application/json": {"schema": UploadedSource.model_json_schema()},
    },
}

Reader = Annotated[Principal, Depends(require("modules:read"))]
Writer = Annotated[Principal, Depends(require("modules:write"))]
Runner = Annotated[Principal, Depends(require("runs:write"))]  # trying an action executes it


def router(modules: ModuleService) -> APIRouter:
    routes = APIRouter(prefix="/modules", tags=["modules"])

    @routes.get("")
    async def list_modules(
        _: Reader,
        q: str | None = Query(None, max_length=200),
        limit: Annotated[int, Query(ge=1, le=500)] = 200,
        after: str | None = Query(None, max_length=100),
    ) -> ModuleList:
        """Everything installed, by id; and what cannot be taken, with its error."""
        found, faults = modules.list_modules(q), modules.faults()
        page = [version for version in found if after is None or version.id > after]
        more = page[limit - 1].id if len(page) > limit else None
        return ModuleList(
            items=[summary(version, faults) for version in page[:limit]],
            faults=[fault_view(fault) for fault in faults],
            next=more,
            total=len(found),
        )

    @routes.get("/{module}")
    async def get_module(_: Reader, module: str) -> ModuleView:
        version = modules.get(module)
        return module_view(version, modules.versions(module), modules.faults(), await modules.readme(version))

    @routes.get("/{module}/actions/{action}")
    async def get_action(_: Reader, module: str, action: str) -> ActionView:
        version, listed = modules.action(module, action)
        return action_view(version, action, listed)

    @routes.post("/{module}/actions/{action}/test")
    async def test_action(principal: Runner, module: str, action: str, body: TryAction) -> OutcomeView:
        """Runs the action once, outside any flow, and waits for it."""
        outcome = await modules.try_action(principal, module, action, body.inputs, dry_run=body.dry_run)
        return outcome_view(outcome)

    @routes.post("", status_code=201, openapi_extra={"requestBody": _UPLOAD_BODY})
    async def upload_module(principal: Writer, request: Request, replace: bool = False) -> ModuleSummary:
        """One file of Python. It is described before it is taken: a broken one changes nothing."""
        name, source = await _uploaded(request)
        return summary(await modules.upload(principal, name, source, replace=replace), modules.faults())

    @routes.delete("/{module}", status_code=204)
    async def delete_module(principal: Writer, module: str) -> Response:
        await modules.delete(principal, module)
        return Response(status_code=204)

    return routes


async def _uploaded(request: Request) -> tuple[str, bytes]:
    """The name and bytes of a file; a file comes from the multipart parser or as text, never as a path (S7)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        _refuse_large(int(request.headers.get("content-length") or 0))
        async with request.form(max_files=1, max_fields=2) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                raise InvalidInput("Send the module as the form's field `file`, with its file name.")
            return file.filename, await file.read(MAX_FILE_BYTES + 1)
    if kind != "application/json":
        raise InvalidInput("Send multipart/form-data with `file`, or application/json {name, source}.")
    body = b""
    async for part in request.stream():
        body += part
        _refuse_large(len(body))
    try:
        sent = UploadedSource.model_validate_json(body)
    except ValidationError as error:
        problems = [
            Problem("/".join(str(part) for part in one["loc"]), one["type"], one["msg"]) for one in error.errors()
        ]
        raise InvalidInput("Send {name, source}, both texts.", errors=problems) from error
    return sent.name, sent.source.encode()


def _refuse_large(size: int) -> None:
    if size > _MAX_BODY:
        raise PayloadTooLarge(f"A module's file has at most {MAX_FILE_BYTES // 2**20} MiB.")
