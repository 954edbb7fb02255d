"""Watch the platform itself: flows that did not run, runs that are stuck, workers, disks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from monjolo_sdk import ApiError, Context, Field, InvalidInput, Module

from .platform import Platform, instant

module = Module(
    "monitor",
    version="1.0.0",
    title="Monitor",
    description="Watch the platform itself: flows, runs, workers, disks.",
    icon="icon.svg",
    permissions={"platform": ["flows:read", "runs:read", "system:read"], "paths": ["*"]},
)

Severity = Literal["info", "warning", "critical"]
_ORDER: dict[str, int] = {"critical": 0, "warning": 1, "info": 2}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SILENT = timedelta(seconds=60)
_GRACE = timedelta(minutes=2)  # how late a schedule may be before it counts as not having come
_BAD_ENDS = {"failed", "timed_out", "crashed"}


@dataclass(frozen=True)
class Finding:
    """`code`: not_ready, no_worker, worker_silent, workers_busy, disk_low, missed, overdue, not_started,
    failing, queued_too_long, stuck, quarantined, paused."""

    severity: Severity
    code: str
    flow: str | None
    message: str


@dataclass(frozen=True)
class Checked:
    flows: int
    runs: int
    workers: int
    disks: int


@dataclass(frozen=True)
class FlowsResult:
    ok: Annotated[bool, Field(description="True when nothing is worse than info")]
    findings: Annotated[list[Finding], Field(description="The worst first")]
    checked: Checked
    summary: Annotated[str, Field(description="One line for a message")]
    checked_at: str


@dataclass
class _Watch:
    """What is looked for, and what was found."""

    platform: Platform
    now: datetime
    since: datetime
    stuck_after: timedelta
    queued_after: timedelta
    failures: int
    expected: dict[str, timedelta]
    findings: list[Finding] = field(default_factory=list)

    def find(self, severity: Severity, code: str, flow: str | None, message: str) -> None:
        self.findings.append(Finding(severity, code, flow, message))


@module.action(
    title="Check flows and platform",
    effects="read",
    examples=[{"title": "A backup must succeed daily", "with": {"expect": {"backup-pasta": "25h"}}}],
)
async def flows(
    ctx: Context,
    window: Annotated[str, Field(title="Look back", description="Such as 30m, 24h, 7d")] = "24h",
    stuck_after: Annotated[str, Field(title="Stuck after", description="A run that takes longer is a finding")] = "6h",
    queued_after: Annotated[
        str, Field(title="Queued too long", description="A run that waits longer to begin")
    ] = "10m",
    failures: Annotated[int, Field(title="Failures in a row", minimum=1, maximum=50)] = 3,
    expect: Annotated[
        dict[str, str],
        Field(title="Must have succeeded", description="Flow to time, such as backup: 25h"),
    ] = {},  # noqa: B006 - the schema shows it; it is never changed
    ignore: Annotated[list[str], Field(title="Leave out these flows")] = [],  # noqa: B006
    disks: Annotated[
        list[str], Field(title="Disks", description="Folders on this worker whose disks are looked at")
    ] = ["/"],  # noqa: B006
    min_free_percent: Annotated[float, Field(title="Least free space, %", minimum=0, maximum=100)] = 10.0,
) -> FlowsResult:
    """Every flow that should have run did, none is stuck, workers and disks are well.

    Findings are a result, not an error: branch on `ok`, or send `summary` somewhere.
    """
    now = datetime.now(UTC)
    watch = _Watch(
        Platform(ctx),
        now,
        now - duration(window, "window"),
        duration(stuck_after, "stuck_after"),
        duration(queued_after, "queued_after"),
        failures,
        {flow: duration(text, f"expect.{flow}") for flow, text in expect.items()},
    )
    await _check_platform(ctx, watch)
    workers = await _check_workers(watch)
    _check_disks(watch, disks, min_free_percent)
    known = await watch.platform.flows()
    for count, flow in enumerate(known):
        ctx.progress(count, len(known), flow["slug"])
        if flow["slug"] not in ignore:
            await _check_flow(watch, flow)
    for missing in watch.expected.keys() - {flow["slug"] for flow in known}:
        watch.find("critical", "overdue", missing, f"{missing} should run, and there is no such flow")
    runs = await _check_live_runs(watch, ignore)
    return _result(ctx, watch, Checked(len(known), runs, workers, len(disks)))


async def _check_platform(ctx: Context, watch: _Watch) -> None:
    try:
        missing = await watch.platform.not_ready()
    except ApiError as error:
        if error.status != 404:
            raise
        ctx.log.debug("the platform does not tell here whether it is ready")
        return
    for part, why in missing.items():
        watch.find("critical", "not_ready", None, f"{part} is not ready: {why}")


async def _check_workers(watch: _Watch) -> int:
    alive = [worker for worker in await watch.platform.workers() if worker["alive"]]
    if not alive:
        watch.find("critical", "no_worker", None, "no worker is alive: nothing can run")
    for worker in alive:
        silence = watch.now - instant(worker["heartbeat_at"])
        if silence > _SILENT:
            watch.find("warning", "worker_silent", None, f"worker {worker['id']} was last heard {_ago(silence)} ago")
    if alive and all(worker["held"] >= worker["capacity"] for worker in alive):
        watch.find("info", "workers_busy", None, "every worker is busy; what comes now waits")
    return len(alive)


def _check_disks(watch: _Watch, disks: Sequence[str], least: float) -> None:
    for path in disks:
        try:
            usage = shutil.disk_usage(path)
        except OSError as error:
            watch.find("warning", "disk_low", None, f"the disk of {path} cannot be looked at: {error.strerror}")
            continue
        free = 100 * usage.free / (usage.total or 1)
        if free < least:
            severity: Severity = "critical" if free < least / 3 else "warning"
            watch.find(severity, "disk_low", None, f"the disk of {path} has {free:.1f} % free, {usage.free >> 20} MiB")


async def _check_flow(watch: _Watch, flow: dict[str, Any]) -> None:
    slug = str(flow["slug"])
    if flow["state"] == "paused":
        by = f" by {flow['paused_by']}" if flow.get("paused_by") else ""
        watch.find("info", "paused", slug, f"{slug} is paused{by}: {flow.get('pause_reason') or 'no reason given'}")
    elif flow["state"] == "active":
        await _check_schedule(watch, slug)
    await _check_ends(watch, slug)
    limit = watch.expected.get(slug)
    if limit is not None:
        await _check_expected(watch, slug, limit)


async def _check_schedule(watch: _Watch, slug: str) -> None:
    missed = await watch.platform.ticks_since(slug, "missed", watch.since)
    if missed:
        reason = f" ({missed[0]['reason']})" if missed[0].get("reason") else ""
        text = f"{slug} missed {len(missed)} of its times, last {missed[0]['instant']}{reason}"
        watch.find("warning", "missed", slug, text)
    for trigger in await watch.platform.triggers(slug):
        due = trigger.get("next_at")
        if trigger["enabled"] and due and instant(due) < watch.now - _GRACE:
            text = f"{slug} was due at {due} by {trigger['name']!r} and was not started"
            watch.find("critical", "not_started", slug, text)


async def _check_ends(watch: _Watch, slug: str) -> None:
    runs = await watch.platform.last_runs(slug, watch.failures, status="succeeded,failed,timed_out,crashed")
    bad = [run for run in runs if run["status"] in _BAD_ENDS]
    if len(runs) < watch.failures or len(bad) < len(runs) or instant(bad[0]["created_at"]) < watch.since:
        return
    error = (bad[0].get("error") or {}).get("message") or bad[0].get("reason") or bad[0]["status"]
    watch.find("warning", "failing", slug, f"the last {len(bad)} runs of {slug} failed: {str(error)[:300]}")


async def _check_expected(watch: _Watch, slug: str, limit: timedelta) -> None:
    runs = await watch.platform.last_runs(slug, 1, status="succeeded")
    ended = instant(runs[0].get("finished_at") or runs[0]["created_at"]) if runs else None
    if ended is None:
        watch.find("critical", "overdue", slug, f"{slug} has never succeeded")
    elif watch.now - ended > limit:
        text = f"{slug} last succeeded {_ago(watch.now - ended)} ago, and should every {_ago(limit)}"
        watch.find("critical", "overdue", slug, text)


async def _check_live_runs(watch: _Watch, ignore: Sequence[str]) -> int:
    runs = await watch.platform.live_runs()
    for run in runs:
        flow = str(run["flow"])
        name = f"run {run['number']} of {flow}"
        age = watch.now - instant(run.get("started_at") or run["created_at"])
        if flow in ignore:
            continue
        if run.get("quarantined"):
            watch.find("critical", "quarantined", flow, f"{name} is set aside: it could not be carried on")
        elif run["status"] == "queued" and age > watch.queued_after:
            watch.find("warning", "queued_too_long", flow, f"{name} has waited {_ago(age)} to begin")
        elif run["status"] != "queued" and age > watch.stuck_after:
            watch.find("warning", "stuck", flow, f"{name} is {run['status']} for {_ago(age)}")
    return len(runs)


def _result(ctx: Context, watch: _Watch, checked: Checked) -> FlowsResult:
    findings = sorted(watch.findings, key=lambda finding: (_ORDER[finding.severity], finding.flow or "", finding.code))
    serious = [finding for finding in findings if finding.severity != "info"]
    for finding in findings:
        level = {"info": "info", "warning": "warning", "critical": "error"}[finding.severity]
        ctx.log.log(level, finding.message, code=finding.code, flow=finding.flow)
    summary = f"all is well: {checked.flows} flows, {checked.workers} workers"
    if serious:
        summary = f"{len(serious)} findings; " + "; ".join(finding.message for finding in serious[:3])
    at = watch.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return FlowsResult(not serious, findings, checked, summary, at)


def duration(text: str, name: str) -> timedelta:
    """`30m`, `24h`, `1d12h`. Raises InvalidInput."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise InvalidInput(f"{text!r} is no duration; write it such as 30m, 24h or 7d", name)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        made = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        datetime.now(UTC) - made
    except OverflowError:
        raise InvalidInput(f"{text!r} is too long", name) from None
    return made


def _ago(span: timedelta) -> str:
    """The two largest parts, such as 2d 3h."""
    seconds = int(span.total_seconds())
    parts = [
        (seconds // 86_400, "d"),
        (seconds % 86_400 // 3600, "h"),
        (seconds % 3600 // 60, "m"),
        (seconds % 60, "s"),
    ]
    return " ".join(f"{count}{unit}" for count, unit in [part for part in parts if part[0]][:2]) or "0s"
