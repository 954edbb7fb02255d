"""`monjolo up`: API, orchestrator and worker in one process, on SQLite, with nothing beside it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from monjolo.bootstrap.platform import Platform, build
from monjolo.kit.errors import MonjoloError
from monjolo.kit.privacy import close_to_neighbours
from monjolo.kit.time import HOUR, SECOND, SystemClock
from monjolo.observability.logging import configure_logging
from monjolo.processes.api import bind, serve, url_of
from monjolo.settings import Settings
from monjolo.storage.lock import DataLock
from monjolo.storage.migrate import prepare, upgrade_apart

log = structlog.get_logger()
DRAIN_SECONDS = 10.0
PUT_BACK_SECONDS = 5.0
RETENTION_EVERY = HOUR

Said = Callable[[str, str | None], None]  # (url, one-time link or None)


async def run(settings: Settings, said: Said) -> None:
    """Until SIGTERM or SIGINT. Raises MonjoloError when it cannot start, with what to do."""
    configure_logging(settings.log.level, as_json=settings.log.format == "json")
    close_to_neighbours()
    with DataLock.acquire(settings.data) as lock:
        listener = bind(settings.host, settings.port)
        try:
            await asyncio.to_thread(prepare, settings.database_file, SystemClock().now(), upgrade_apart)
            _clean_temporary(settings.data / "tmp")
            platform = await build(settings)
            url = url_of(listener)
            if not settings.public_url:
                platform.app.state.platform_url[0] = url
            lock.announce(url)
            stop = _stop_on_signals()
            await _start(platform)
            await _serve(platform, listener, stop, said)
        finally:
            listener.close()


def _clean_temporary(folder: Path) -> None:
    """What runners of an earlier process left behind."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            os._exit(130)  # asked twice: at once
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    return stop


async def _start(platform: Platform) -> None:
    now = platform.clock.now()
    await platform.registry.start()
    await platform.workers.end_all(now)
    await platform.listeners.load()
    await platform.users.ensure_cli_token(platform.settings.data / "cli-token")
    await platform.worker.start()
    core = platform.registry.catalogue().find("core")
    if core is not None:
        await platform.worker.warm(core.digest)
    await platform.repair.recover()
    gc.collect()
    gc.freeze()  # what was loaded so far stays: the collector need not look at it again
    gc.set_threshold(200_000, 50, 100)  # a batch of runs is thousands of objects, none of them in a circle


async def _serve(platform: Platform, listener: socket.socket, stop: asyncio.Event, said: Said) -> None:
    link = None
    if await platform.set_up.needed():
        link = await platform.set_up.setup_link(platform.app.state.platform_url[0], keep_earlier=True)

    def started(url: str) -> None:
        said(platform.settings.public_url or url, link)

    web_stop = asyncio.Event()
    parts: dict[str, Coroutine[Any, Any, None]] = {
        "orchestrator": platform.consumers.run(),
        "clockwork": platform.clockwork.run(),
        "registry": platform.registry.run(),
        "retention": _prune(platform),
        "listeners": _listen(platform),
        "web": serve(
            platform.app, listener, stop=web_stop, trusted_proxies=_proxies(platform.settings), on_started=started
        ),
    }
    tasks = {asyncio.create_task(part): name for name, part in parts.items()}
    stopping = asyncio.create_task(_until(stop))
    done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    await platform.worker.drain(DRAIN_SECONDS)
    web_stop.set()
    await platform.worker.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(platform.repair.put_back(), PUT_BACK_SECONDS)
    await _end(tasks, stopping)
    platform.database.close()
    for task in done:
        if task in tasks and not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _proxies(settings: Settings) -> str:
    """A public address means that a proxy on this machine stands before us; without one, nobody speaks for others."""
    return "127.0.0.1,::1" if settings.public_url else ""


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _end(tasks: dict[asyncio.Task[None], str], stopping: asyncio.Task[None]) -> None:
    web = next(task for task, name in tasks.items() if name == "web")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(web), DRAIN_SECONDS)
    for task in (*tasks, stopping):
        task.cancel()
    await asyncio.gather(*tasks, stopping, return_exceptions=True)


async def _prune(platform: Platform) -> None:
    """History, sessions and module bundles within their bounds: a while after the start, then every hour."""
    pause = 60.0
    while True:
        await asyncio.sleep(pause)
        pause = RETENTION_EVERY / SECOND
        try:
            await platform.retention.run_once(platform.clock.now())
            while await platform.sessions.forget_ended():
                pass
            await platform.registry.prune(await platform.flows.used_digests())
        except MonjoloError as error:
            log.error("history could not be pruned", code=error.code, detail=error.detail)


async def _listen(platform: Platform) -> None:
    """Keeps in mind which events anybody waits for, read again when flows have changed."""
    while True:
        await platform.listeners.stale.wait()
        await platform.listeners.load()
