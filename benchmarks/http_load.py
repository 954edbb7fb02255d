"""A load generator in a process of its own: raw HTTP/1.1 over kept connections, so that it costs little.

`python http_load.py` reads one order as JSON from stdin and prints one result as JSON.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import json
import sys
import time
from typing import Any, cast

import uvloop


class Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        stop = head.find(b"\r\n", at)
        length = int(head[at + 15 : stop if stop > 0 else end]) if at > 0 else 0
        total = end + 4 + length
        if len(self._buffer) < total:
            return
        body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the connection was closed"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """(status, body)."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Api:
    """An HTTP API over raw connections: the platform's, or a peer's with headers of its own."""

    def __init__(self, port: int, token: str = "", headers: dict[str, str] | None = None) -> None:
        self._port = port
        self._headers = {"authorization": f"Bearer {token}"} if headers is None else headers

    async def connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        return connection

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        headers = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    async def json(self, connection: Connection, method: str, path: str, body: Any = None) -> Any:
        status, answer = await connection.ask(self.request(method, path, body))
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {answer[:500]!r}")
        return json.loads(answer) if answer else None


async def submit(api: Api, order: dict[str, Any]) -> dict[str, Any]:
    """`count` runs over `connections`, in bulks of `bulk` (0: one a request); then until all have ended."""
    flow, bulk = order["flow"], order["bulk"]
    if bulk:
        request = api.request("POST", f"/api/v1/flows/{flow}/runs/bulk", {"items": [{"inputs": {}}] * bulk})
    else:
        request = api.request("POST", f"/api/v1/flows/{flow}/runs", {"inputs": {}})
    connections = [await api.connect() for _ in range(order["connections"])]
    left = collections.deque(range(order["count"] // (bulk or 1)))
    took: list[float] = []

    async def send(connection: Connection) -> None:
        while left:
            left.popleft()
            began = time.perf_counter()
            status, answer = await connection.ask(request)
            took.append(time.perf_counter() - began)
            if status != 202:
                raise RuntimeError(f"not accepted: {status} {answer[:500]!r}")

    gc.freeze()
    began = time.perf_counter()
    await asyncio.gather(*(send(connection) for connection in connections))
    accepted = time.perf_counter() - began
    await _until_ended(api, connections[0], flow)
    ended = time.perf_counter() - began
    return {"accepted_seconds": accepted, "ended_seconds": ended, **percentiles(took)}


async def _until_ended(api: Api, connection: Connection, flow: str) -> None:
    for status in ("queued", "running", "waiting"):
        path = f"/api/v1/runs?flow={flow}&status={status}&limit=1"
        while (await api.json(connection, "GET", path))["items"]:  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.02)


async def probe(api: Api, order: dict[str, Any]) -> dict[str, Any]:
    """One POST after another with a pause: the time to its 202, and the instant it was sent, for each."""
    connection = await api.connect()
    request = api.request("POST", f"/api/v1/flows/{order['flow']}/runs", {"inputs": {}})
    sent, took = [], []
    for _ in range(order["count"]):
        await asyncio.sleep(order["pause"])
        at, began = time.time(), time.perf_counter()
        status, answer = await connection.ask(request)
        took.append(time.perf_counter() - began)
        if status != 202:
            raise RuntimeError(f"not accepted: {status} {answer[:500]!r}")
        sent.append((json.loads(answer)["id"], at))
    return {"sent": sent, **percentiles(took)}


async def ask(api: Api, order: dict[str, Any]) -> dict[str, Any]:
    """`count` requests over `connections`, the given ones (method, path, body) in turn."""
    requests = [api.request(*one) for one in order["requests"]]
    connections = [await api.connect() for _ in range(order["connections"])]
    left = collections.deque(range(order["count"]))
    took: list[float] = []

    async def send(connection: Connection) -> None:
        while left:
            request = requests[left.popleft() % len(requests)]
            began = time.perf_counter()
            status, answer = await connection.ask(request)
            took.append(time.perf_counter() - began)
            if status >= 400:
                raise RuntimeError(f"{request[:100]!r}: {status} {answer[:500]!r}")

    began = time.perf_counter()
    await asyncio.gather(*(send(connection) for connection in connections))
    return {"per_second": order["count"] / (time.perf_counter() - began), **percentiles(took)}


def percentiles(took: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    ordered = sorted(took)
    return {"p50_ms": ordered[len(ordered) // 2] * 1000, "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000}


KINDS = {"submit": submit, "probe": probe, "ask": ask}


async def main(order: dict[str, Any]) -> dict[str, Any]:
    api = Api(order["port"], order.get("token", ""), order.get("headers"))
    return await KINDS[order["kind"]](api, order)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(main(json.load(sys.stdin)))))
