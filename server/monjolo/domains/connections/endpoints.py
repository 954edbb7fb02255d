"""/secrets, /connections, /connection-types and /vars: parse, one call of a service, answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from monjolo.domains.connections.schemas import (
    ConnectionChange,
    ConnectionPage,
    ConnectionTypes,
    ConnectionTypeView,
    ConnectionView,
    NewConnection,
    NewSecret,
    NewVariable,
    SecretChange,
    SecretPage,
    SecretView,
    VariableChange,
    VariablePage,
    VariableView,
    connection_view,
    secret_view,
    variable_view,
)
from monjolo.domains.connections.service import CONNECTION, SECRET, ConnectionService
from monjolo.domains.connections.variables import VariableService
from monjolo.http.auth import Principal, require
from monjolo.http.etag import IfMatch, etag, if_match
from monjolo.http.paging import PageQuery, page_of, page_query

Reader = Annotated[Principal, Depends(require("connections:read"))]
Writer = Annotated[Principal, Depends(require("connections:write"))]
Page = Annotated[PageQuery, Depends(page_query)]
Match = Annotated[IfMatch, Depends(if_match)]


def router(connections: ConnectionService, variables: VariableService) -> APIRouter:
    routes = APIRouter()
    routes.include_router(_secrets(connections))
    routes.include_router(_connections(connections))
    routes.include_router(_variables(variables))
    return routes


def _after(page: PageQuery) -> str | None:
    key = page.key(str)
    return None if key is None else str(key[0])


def _secrets(service: ConnectionService) -> APIRouter:
    routes = APIRouter(prefix="/secrets", tags=["secrets"])

    @routes.get("")
    async def list_secrets(principal: Reader, page: Page) -> SecretPage:
        """By name. Values never come back."""
        found, total = await service.list_sealed(
            principal.workspace_id, SECRET, after=_after(page), limit=page.limit + 1
        )
        items, more = page_of(found, page, lambda sealed: (sealed.name,))
        return SecretPage(items=[secret_view(item) for item in items], next=more, total=total)

    @routes.post("", status_code=201)
    async def create_secret(principal: Writer, body: NewSecret, response: Response) -> SecretView:
        """Seals a value under a name, for `${{ secrets.NAME }}`."""
        made = await service.create_secret(principal.workspace_id, principal.user_id, body.name, body.value, body.title)
        response.headers["etag"] = etag(made.revision)
        return secret_view(made)

    @routes.get("/{secret}")
    async def get_secret(principal: Reader, secret: str, response: Response) -> SecretView:
        """By id or name."""
        found = await service.get(principal.workspace_id, SECRET, secret)
        response.headers["etag"] = etag(found.revision)
        return secret_view(found)

    @routes.patch("/{secret}")
    async def change_secret(
        principal: Writer, secret: str, body: SecretChange, match: Match, response: Response
    ) -> SecretView:
        """Another value, another title, or both."""
        changed = await service.change(
            principal.workspace_id,
            principal.user_id,
            SECRET,
            secret,
            match,
            body.model_dump(exclude_unset=True),
        )
        response.headers["etag"] = etag(changed.revision)
        return secret_view(changed)

    @routes.delete("/{secret}", status_code=204)
    async def delete_secret(principal: Writer, secret: str, match: Match) -> None:
        """Steps that name it fail from now on."""
        await service.delete(principal.workspace_id, principal.user_id, SECRET, secret, match)

    return routes


def _connections(service: ConnectionService) -> APIRouter:
    routes = APIRouter(tags=["connections"])

    @routes.get("/connection-types")
    async def list_connection_types(_: Reader) -> ConnectionTypes:
        """Those that are built in and those of the modules, each with the schema of its fields."""
        found = sorted(service.types.all().items())
        return ConnectionTypes(items=[ConnectionTypeView.model_validate(kind) for _, kind in found])

    @routes.get("/connections")
    async def list_connections(principal: Reader, page: Page) -> ConnectionPage:
        """By name. Secret fields never come back."""
        found, total = await service.list_sealed(
            principal.workspace_id, CONNECTION, after=_after(page), limit=page.limit + 1
        )
        items, more = page_of(found, page, lambda sealed: (sealed.name,))
        return ConnectionPage(items=[connection_view(item) for item in items], next=more, total=total)

    @routes.post("/connections", status_code=201)
    async def create_connection(principal: Writer, body: NewConnection, response: Response) -> ConnectionView:
        """Seals the secret fields of a type of connection under a name, which steps are given as an input."""
        made = await service.create_connection(
            principal.workspace_id, principal.user_id, body.name, body.type, body.fields, body.title, body.hosts
        )
        response.headers["etag"] = etag(made.revision)
        return connection_view(made)

    @routes.get("/connections/{connection}")
    async def get_connection(principal: Reader, connection: str, response: Response) -> ConnectionView:
        """By id or name."""
        found = await service.get(principal.workspace_id, CONNECTION, connection)
        response.headers["etag"] = etag(found.revision)
        return connection_view(found)

    @routes.patch("/connections/{connection}")
    async def change_connection(
        principal: Writer, connection: str, body: ConnectionChange, match: Match, response: Response
    ) -> ConnectionView:
        """Some fields, the title, the hosts; what is not named stays."""
        changed = await service.change(
            principal.workspace_id, principal.user_id, CONNECTION, connection, match,
            body.model_dump(exclude_unset=True),
        )  # fmt: skip
        response.headers["etag"] = etag(changed.revision)
        return connection_view(changed)

    @routes.delete("/connections/{connection}", status_code=204)
    async def delete_connection(principal: Writer, connection: str, match: Match) -> None:
        """Steps that name it fail from now on."""
        await service.delete(principal.workspace_id, principal.user_id, CONNECTION, connection, match)

    return routes


def _variables(service: VariableService) -> APIRouter:
    routes = APIRouter(prefix="/vars", tags=["variables"])

    @routes.get("")
    async def list_variables(principal: Reader, page: Page) -> VariablePage:
        found, total = await service.list_variables(principal.workspace_id, after=_after(page), limit=page.limit + 1)
        items, more = page_of(found, page, lambda variable: (variable.name,))
        return VariablePage(items=[variable_view(item) for item in items], next=more, total=total)

    @routes.post("", status_code=201)
    async def create_variable(principal: Writer, body: NewVariable, response: Response) -> VariableView:
        """Any JSON value under a name, for `${{ vars.NAME }}`."""
        made = await service.create(principal.workspace_id, principal.user_id, body.name, body.value)
        response.headers["etag"] = etag(made.revision)
        return variable_view(made)

    @routes.get("/{name}")
    async def get_variable(principal: Reader, name: str, response: Response) -> VariableView:
        found = await service.get(principal.workspace_id, name)
        response.headers["etag"] = etag(found.revision)
        return variable_view(found)

    @routes.patch("/{name}")
    async def change_variable(
        principal: Writer, name: str, body: VariableChange, match: Match, response: Response
    ) -> VariableView:
        changed = await service.change(principal.workspace_id, principal.user_id, name, match, body.value)
        response.headers["etag"] = etag(changed.revision)
        return variable_view(changed)

    @routes.delete("/{name}", status_code=204)
    async def delete_variable(principal: Writer, name: str, match: Match) -> None:
        """Takes the variable away."""
        await service.delete(principal.workspace_id, principal.user_id, name, match)

    return routes
