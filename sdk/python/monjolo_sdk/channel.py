"""The one way from a Context to the platform; the runner and the tests each bring theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol


class Channel(Protocol):
    """Bound to one task. Notified: `progress`, `state.set`; asked: `state.get`, `artifact`, `token`."""

    def log(self, level: str, stream: str, text: str, fields: Mapping[str, Any] | None) -> None:
        """Add a line to the log of the task."""

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Say something that needs no answer; order is kept."""

    def request(self, method: str, params: dict[str, Any]) -> Awaitable[Any]:
        """Ask from the event loop. The question is sent at once, awaited or not."""

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask from a thread and wait for the answer."""

    def on_loop(self) -> bool:
        """Is this the thread of the event loop, where waiting would stop everything?"""
