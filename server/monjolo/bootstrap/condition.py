"""How the platform fares, from its data folder: what is stuck, late, broken or without a backup.

It reads beside the platform, running or not, and holds nothing up. What needs the lock is in `diagnosis`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

from monjolo.bootstrap.backup import last_backup
from monjolo.bootstrap.diagnosis import Finding
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import DAY, MINUTE, format_duration, to_rfc3339
from monjolo.settings import Settings, format_size
from monjolo.storage.health import Health, beside, look
from monjolo.storage.migrate import version

_LOCAL = ("127.0.0.1", "::1", "localhost")
LATE = 2 * MINUTE
LONG_WAIT = 10 * MINUTE
OLD_BACKUP = 7 * DAY
LARGE_LOG_OF_WRITES = 512 << 20
MODULE_BROKEN = "Its last good version stays in use; without one, flows that name it are refused."
NOBODY = "Nobody can sign in; who has the link becomes the administrator."
_METADATA = ip_address("169.254.169.254")  # where clouds hand out the machine's own credentials


def condition(settings: Settings, now: int, *, up: bool) -> list[Finding]:
    """Nothing before the first start; what cannot be read at all is for the database's own finding."""
    if not settings.database_file.exists():
        return []
    try:
        with beside(settings.database_file) as connection:
            if version(connection, settings.database_file) is None:
                return []
            health = look(connection, now - LATE)
    except MonjoloError as error:
        advice = "Stop the platform and run `monjolo db check`."
        fault = Finding("database", "wrong", error.detail, advice, "What cannot be read cannot be answered either.")
        return [fault] if up else []
    found = [
        address(settings),
        sizes(settings, health),
        runs(health),
        backlog(health, now, up=up),
        schedules(health, now, up=up),
    ]
    if not up:
        found += [*modules(health), environments(settings, health), first_user(health)]
    ahead = (health.newest_run or 0) - now
    if ahead > LATE:
        advice = "Set the clock of this machine (timedatectl set-ntp true)."
        why = "Schedules, timers and tokens go by the clock; runs seem to be of the future."
        detail = f"the newest run is {format_duration(ahead // MINUTE * MINUTE)} ahead of this clock"
        found.append(Finding("clock", "warning", detail, advice, why))
    return [*found, backup(settings.data, health, now)]


def address(settings: Settings) -> Finding:
    if settings.public_url:
        return Finding("address", "ok", f"people and webhooks reach it at {settings.public_url}")
    if settings.host in _LOCAL:
        return Finding(
            "address", "ok", "it is reached from this machine alone; MONJOLO_PUBLIC_URL names a proxy's address"
        )
    return Finding("address", "ok", f"it is reached at {settings.host}, port {settings.port}")


def sizes(settings: Settings, health: Health) -> Finding:
    log = settings.database_file.with_name(settings.database_file.name + "-wal")
    log_bytes = log.stat().st_size if log.exists() else 0
    free, written = format_size(health.free_bytes >> 10 << 10), format_size(log_bytes >> 10 << 10)
    shown = f"{format_size(health.bytes >> 10 << 10)}, of which {free} free; log of writes {written}"
    if log_bytes > LARGE_LOG_OF_WRITES:
        advice = "Look for a backup or another program that has read the database for long; a restart cuts it."
        return Finding("sizes", "warning", shown, advice, "It grows while somebody reads, and fills the disk.")
    return Finding("sizes", "ok", shown)


def runs(health: Health) -> Finding:
    if health.stuck:
        advice = "`monjolo run why ID` tells more; `monjolo run cancel ID` ends it. Please report it: it is our fault."
        detail = f"nothing will move {', '.join(health.stuck)}"
        return Finding("runs", "wrong", detail, advice, "These runs would stay as they are for ever.")
    if health.quarantined:
        advice = "`monjolo run show ID` says why; `monjolo run cancel ID --force` ends it."
        detail = f"set aside after an error of ours: {', '.join(health.quarantined)}"
        return Finding("runs", "warning", detail, advice, "They do not go on by themselves.")
    return Finding("runs", "ok", f"{health.live:,} under way, none stuck")


def backlog(health: Health, now: int, *, up: bool) -> Finding:
    if health.oldest_ready is None:
        return Finding("backlog", "ok", "no step waits for a worker")
    waited = max(0, now - health.oldest_ready)
    shown = f"{health.ready:,} steps wait for a worker, the first for {format_duration(waited // 10**6 * 10**6)}"
    if up and waited > LONG_WAIT:
        advice = "Give the worker more runners (MONJOLO_WORKER_RUNNERS), or start fewer runs."
        return Finding("backlog", "warning", shown, advice, "Work comes in faster than it is done.")
    return Finding("backlog", "ok", shown)


def schedules(health: Health, now: int, *, up: bool) -> Finding:
    if not health.overdue:
        return Finding("schedules", "ok", "none is late")
    name, due = health.overdue[0]
    shown = f"{name} was due at {to_rfc3339(due)[:19]}Z" + (" and it is not alone" if len(health.overdue) > 1 else "")
    if up:
        advice = "The log of the platform tells more; after an outage many are caught up at a bounded pace."
        return Finding("schedules", "warning", shown, advice, "Their runs start late.")
    return Finding("schedules", "ok", f"{shown}; the next start does what its policy says")


def modules(health: Health) -> list[Finding]:
    return [
        Finding("module", "wrong", f"{path}: {error.splitlines()[0]}", "`monjolo module check` it.", MODULE_BROKEN)
        for path, error in health.faults
    ]


def environments(settings: Settings, health: Health) -> Finding:
    missing = [module for module, name in health.environments if not (settings.data / "environments" / name).is_dir()]
    if missing:
        shown = f"not built: {', '.join(missing)}; the next start builds them, and needs the package index for it"
        return Finding("environments", "ok", shown)
    return Finding("environments", "ok", f"{len({name for _, name in health.environments})} built")


def first_user(health: Health) -> Finding:
    if health.first_user:
        return Finding("first user", "ok", "set up")
    return Finding("first user", "warning", "nobody is set up yet", "`monjolo setup-link` prints the link.", NOBODY)


def backup(data: Path, health: Health, now: int) -> Finding:
    found = last_backup(data)
    advice = "`monjolo db backup FOLDER` makes one, also while the platform runs; docs/howto/platform-backup.md."
    why = "If this disk is lost, so is everything since the last backup."
    if found is None:
        never = "none was ever made of this data folder"
        if health.newest_run is None:
            return Finding("backup", "ok", f"{never}, and there are no runs yet")
        return Finding("backup", "warning", never, advice, why)
    age = max(0, now - int(str(found["at"])))
    shown = f"the last one is {format_duration(age // MINUTE * MINUTE)} old: {found.get('file')}"
    return Finding("backup", "warning", shown, advice, why) if age > OLD_BACKUP else Finding("backup", "ok", shown)


# --- settings -----------------------------------------------------------------------------------------------


def contradictions(settings: Settings) -> list[Finding]:
    """Settings that are valid one by one, and do not do together what they seem to."""
    return [
        Finding("settings", "warning", detail, advice, why)
        for detail, advice, why in (*_door(settings), *_rest(settings))
    ]


_Said = Iterator[tuple[str, str, str]]


def _door(settings: Settings) -> _Said:
    local = settings.host in _LOCAL
    public = settings.public_url
    if not local and public is None and not settings.allow_http:
        yield (
            f"host is {settings.host}, and neither public_url nor allow_http is set",
            "Put a proxy with HTTPS before it and set MONJOLO_PUBLIC_URL to its address.",
            "People on other machines cannot sign in: their session cookie is refused over plain HTTP.",
        )
    if public is not None and public.startswith("http://") and not settings.allow_http:
        yield (
            f"public_url is {public}, which is not encrypted",
            "Use an address with https://.",
            "A session cookie is taken over HTTPS alone, so nobody can sign in there.",
        )
    if settings.allow_http and not local:
        yield (
            f"allow_http is on, and host is {settings.host}",
            "Put a proxy with HTTPS before it, set MONJOLO_PUBLIC_URL, take MONJOLO_ALLOW_HTTP away.",
            "Passwords and sessions can be read on the way.",
        )


def _rest(settings: Settings) -> _Said:
    keep = settings.retention
    if keep.log_days > keep.days:
        yield (
            f"retention.log_days ({keep.log_days}) is longer than retention.days ({keep.days})",
            "Make MONJOLO_RETENTION_DAYS as long.",
            "The log of a run goes with the run.",
        )
    wide = [text for text in settings.egress.allow if _reaches_metadata(text)]
    if wide:
        yield (
            f"egress.allow has {', '.join(wide)}, which holds {_METADATA}",
            "Name the networks that flows need, and no more (MONJOLO_EGRESS_ALLOW).",
            "On a cloud's machine, a flow could fetch the machine's own credentials from there.",
        )
    if settings.modules_dir is not None and not settings.modules_dir.is_dir():
        yield (
            f"modules_dir is {settings.modules_dir}, which is no folder",
            "Make it, or correct MONJOLO_MODULES_DIR.",
            "Modules dropped in elsewhere are not seen.",
        )
    memory, asked = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), settings.worker.memory
    if asked > memory:
        yield (
            f"worker.memory is {format_size(asked)}, and the machine has {format_size(memory >> 20 << 20)}",
            "Lower MONJOLO_WORKER_MEMORY.",
            "Idle runners are kept until the machine has no memory left.",
        )


def _reaches_metadata(text: str) -> bool:
    return "/" in text and _METADATA in ip_network(text)
