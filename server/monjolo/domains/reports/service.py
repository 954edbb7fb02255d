"""What the dashboard shows, put together from what the database knows of this moment."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from monjolo.domains.reports import repository, schemas
from monjolo.domains.reports.forecast import Forecast
from monjolo.kit import json
from monjolo.kit.errors import InvalidInput
from monjolo.kit.ids import lowest_id
from monjolo.kit.time import HOUR, MINUTE, SECOND, Clock, to_rfc3339
from monjolo.storage.port import Connection, Database, Row

RHYTHM = 24
SHOWN_FLOWS, SHOWN_RUNNING, SHOWN_NEXT = 10, 20, 8
FAILURES_READ = 1_000
_SUMMARY = ("summary", "resumo", "text")
_ORDER = {"failing": 0, "active": 1, "finished": 2, "paused": 3, "draft": 4}


@dataclass(frozen=True, slots=True)
class Span:
    """The buckets of a window: `past` of them have begun."""

    name: schemas.WindowName
    bucket: int
    past: int
    future: int


SPANS = {
    "24h": Span("24h", 30 * MINUTE, 48, 24),
    "7d": Span("7d", 4 * HOUR, 42, 21),
    "30d": Span("30d", 24 * HOUR, 30, 15),
}


@dataclass(frozen=True, slots=True)
class _Flow:
    id: str
    slug: str
    name: str
    labels: dict[str, str]
    state: schemas.FlowState
    last_at: int


class ReportService:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._forecast = Forecast()

    async def dashboard(self, workspace_id: str, window: str, timezone: str) -> schemas.DashboardView:
        span, now = SPANS[window], self._clock.now()
        edges = _edges(span, now, timezone)
        return await self._database.read(lambda c: self._dashboard(c, workspace_id, span, now, edges))

    def _dashboard(
        self, connection: Connection, workspace_id: str, span: Span, now: int, edges: list[int]
    ) -> schemas.DashboardView:
        known = sorted(
            _flows(connection, workspace_id), key=lambda flow: (_ORDER[flow.state], -flow.last_at, flow.slug)
        )
        shown = _rows(connection, known[:SHOWN_FLOWS])
        triggers = [(row["config"], row["since"]) for row in repository.timed_triggers(connection, workspace_id)]
        ahead = edges[span.past :]
        coming, whole = self._forecast.spans(triggers, now, [now, *ahead])
        buckets = [_bucket(connection, workspace_id, low, high) for low, high in pairwise(edges[: span.past + 1])]
        buckets[-1].scheduled = coming[0]  # the rest of the bucket that has begun
        buckets += [
            schemas.BucketView(at=to_rfc3339(at), ok=0, failed=0, other=0, scheduled=number)
            for at, number in zip(ahead, coming[1:], strict=False)
        ]
        slots = repository.slots(connection)
        return schemas.DashboardView(
            now=to_rfc3339(now),
            window=span.name,
            bucket_seconds=span.bucket // SECOND,
            past=span.past,
            buckets=buckets,
            totals=_totals(connection, workspace_id, buckets, edges, span, whole),
            states=_states(known),
            flows=shown,
            running=_running(connection, workspace_id),
            next=[
                schemas.NextRunView(flow=row["slug"], name=row["name"], at=to_rfc3339(row["instant"]))
                for row in repository.next_runs(connection, workspace_id, now, SHOWN_NEXT)
            ],
            workers=schemas.SlotsView(workers=slots["workers"], slots=slots["slots"] or 0, held=slots["held"] or 0),
        )

    async def flows(
        self,
        workspace_id: str,
        *,
        state: str | None,
        q: str | None,
        label: str | None,
        after: tuple[str, str] | None,
        limit: int,
    ) -> tuple[list[schemas.FlowRow], tuple[str, str] | None, schemas.StateCounts, int]:
        """A page by name, the key of the next one, and the counts by state of all that `q` and `label` find."""

        def read(connection: Connection) -> Any:
            known = [flow for flow in _flows(connection, workspace_id) if _matches(flow, q, label)]
            chosen = sorted((flow for flow in known if state in (None, flow.state)), key=_place)
            later = [flow for flow in chosen if after is None or _place(flow) > after]
            rows = _rows(connection, later[:limit])
            following = _place(later[limit - 1]) if len(later) > limit else None
            return rows, following, _states(known), len(chosen)

        found: tuple[list[schemas.FlowRow], tuple[str, str] | None, schemas.StateCounts, int]
        found = await self._database.read(read)
        return found

    async def flow(self, workspace_id: str, slug: str) -> schemas.FlowRow | None:
        def read(connection: Connection) -> schemas.FlowRow | None:
            known = [flow for flow in _flows(connection, workspace_id) if flow.slug == slug]
            return _rows(connection, known)[0] if known else None

        return await self._database.read(read)


def _edges(span: Span, now: int, timezone: str) -> list[int]:
    """Where the buckets begin and end, on the hours and days of the person's own clock."""
    try:
        offset = datetime.fromtimestamp(now / SECOND, ZoneInfo(timezone)).utcoffset()
    except (ValueError, OSError, LookupError) as error:
        raise InvalidInput(f"{timezone!r} is no time zone such as Europe/Lisbon.", code="bad_timezone") from error
    shift = 0 if offset is None else int(offset.total_seconds()) * SECOND
    start = (now + shift) // span.bucket * span.bucket - shift - (span.past - 1) * span.bucket
    return [start + place * span.bucket for place in range(span.past + span.future + 1)]


def _bucket(connection: Connection, workspace_id: str, low: int, high: int) -> schemas.BucketView:
    counts = repository.count_ended(connection, workspace_id, lowest_id(low), lowest_id(high))
    return schemas.BucketView(
        at=to_rfc3339(low),
        ok=counts["succeeded"],
        failed=sum(counts[status] for status in repository.FAILED),
        other=sum(counts[status] for status in repository.OTHER),
        scheduled=0,
    )


def _totals(
    connection: Connection,
    workspace_id: str,
    buckets: Sequence[schemas.BucketView],
    edges: list[int],
    span: Span,
    whole: bool,
) -> schemas.TotalsView:
    ok, failed, other = (sum(getattr(bucket, name) for bucket in buckets) for name in ("ok", "failed", "other"))
    start = edges[0]
    earlier = (lowest_id(start - span.past * span.bucket), lowest_id(start))
    oldest = repository.oldest_queued(connection, workspace_id)
    live = {status: repository.count_status(connection, workspace_id, status) for status in repository.LIVE}
    return schemas.TotalsView(
        runs=ok + failed + other,
        ok=ok,
        failed=failed,
        other=other,
        before=sum(repository.count_ended(connection, workspace_id, *earlier).values()),
        causes=len(
            {_cause(row) for row in repository.failures(connection, workspace_id, lowest_id(start), FAILURES_READ)}
        ),
        running=live["running"] + live["cancelling"],
        queued=live["queued"],
        waiting=live["waiting"],
        oldest_queued_at=None if oldest is None else to_rfc3339(oldest),
        scheduled=sum(bucket.scheduled for bucket in buckets),
        scheduled_is_least=not whole,
    )


def _cause(row: Row) -> tuple[str, str, str]:
    error = json.loads(row["error"]) if row["error"] else {}
    return row["flow_id"], str(error.get("step")), str(error.get("type"))


def _flows(connection: Connection, workspace_id: str) -> list[_Flow]:
    return [
        _Flow(row["id"], row["slug"], row["name"], json.loads(row["labels"]), _state(row), row["last_at"] or 0)
        for row in repository.flows(connection, workspace_id)
    ]


def _state(row: Row) -> schemas.FlowState:
    if row["state"] != "active":
        return "paused" if row["state"] == "paused" else "draft"
    if row["last_status"] in repository.FAILED:
        return "failing"
    return "finished" if row["triggers"] and not row["awake"] else "active"


def _states(known: Sequence[_Flow]) -> schemas.StateCounts:
    counts = {state: sum(flow.state == state for flow in known) for state in _ORDER}
    return schemas.StateCounts(all=len(known), **counts)


def folded(text: str) -> str:
    """Without accents and case: `conciliacao` finds `Conciliação`."""
    plain = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def _place(flow: _Flow) -> tuple[str, str]:
    return folded(flow.name), flow.slug


def _matches(flow: _Flow, q: str | None, label: str | None) -> bool:
    if label is not None:
        name, _, value = label.partition(":")
        if name not in flow.labels or (value and flow.labels[name] != value):
            return False
    if not q:
        return True
    text = folded(" ".join((flow.name, flow.slug, *flow.labels.values())))
    return all(word in text for word in folded(q).split())


def _rows(connection: Connection, chosen: Sequence[_Flow]) -> list[schemas.FlowRow]:
    heads = repository.documents(connection, [flow.id for flow in chosen])
    people = repository.names(connection, [head["paused_by"] for head in heads.values() if head["paused_by"]])
    return [_row(connection, flow, heads[flow.id], people) for flow in chosen]


def _row(connection: Connection, flow: _Flow, head: Row, people: Mapping[str, str]) -> schemas.FlowRow:
    runs = repository.last_runs(connection, flow.id, RHYTHM)
    document: dict[str, Any] = json.loads(head["document"]) if head["document"] else {}
    ended = [run for run in runs if run["finished_at"] is not None]
    streak = next((place for place, run in enumerate(ended) if run["status"] not in repository.FAILED), len(ended))
    typical = [_ms(run) or 0 for run in runs if run["status"] == "succeeded"]
    triggers = repository.triggers(connection, flow.id)
    instants = [row["instant"] for row in triggers if row["enabled"] and row["instant"] is not None]
    return schemas.FlowRow(
        slug=flow.slug,
        name=flow.name,
        state=flow.state,
        pause_reason=head["pause_reason"],
        paused_by=people.get(head["paused_by"]) if head["paused_by"] else None,
        labels=flow.labels,
        version=head["version"],
        updated_at=to_rfc3339(head["updated_at"]),
        triggers=[_starter(row, paused=flow.state == "paused") for row in triggers],
        rhythm=[
            schemas.RhythmView(run=run["id"], number=run["number"], status=run["status"], ms=_ms(run))
            for run in reversed(runs)
        ],
        last=_last(connection, runs[0]) if runs else None,
        streak=streak,
        failing_since=to_rfc3339(ended[streak - 1]["created_at"]) if streak else None,
        typical_ms=round(median(typical)) if typical else None,
        next_at=to_rfc3339(min(instants)) if instants else None,
        needs_inputs=needs_inputs(document),
    )


def _starter(row: Row, *, paused: bool) -> schemas.StarterView:
    """A pause puts every trigger to rest; which ones it will wake again stands in their own configuration."""
    config = json.loads(row["config"])
    return schemas.StarterView(
        type=row["type"],
        cron=config.get("cron"),
        every=config.get("every"),
        timezone=config.get("timezone"),
        event=row["event"],
        path=row["path"],
        enabled=bool(config.get("enabled", True)) if paused else bool(row["enabled"]),
    )


def needs_inputs(document: Mapping[str, Any]) -> bool:
    """Whether some input is required and has no default."""
    inputs = document.get("inputs") or {}
    fields = inputs.get("properties") or {}
    return any("default" not in (fields.get(name) or {}) for name in inputs.get("required") or ())


def _ms(run: Row) -> int | None:
    if run["finished_at"] is None:
        return None
    return int((run["finished_at"] - (run["started_at"] or run["created_at"])) // 1_000)


def _last(connection: Connection, run: Row) -> schemas.LastView:
    error = json.loads(run["error"]) if run["error"] else None
    live = run["finished_at"] is None
    step = repository.current_step(connection, run["id"]) if live else (error or {}).get("step")
    return schemas.LastView(
        run=run["id"],
        number=run["number"],
        status=run["status"],
        created_at=to_rfc3339(run["created_at"]),
        finished_at=None if live else to_rfc3339(run["finished_at"]),
        ms=_ms(run),
        step=step,
        error=_sentence(error) if error else None,
        summary=_summary(run["outputs"]),
    )


def _sentence(error: Mapping[str, Any]) -> str:
    return re.sub(r"\s+", " ", str(error.get("message") or error.get("type") or ""))[:300]


def _summary(outputs: str | None) -> str | None:
    found = json.loads(outputs) if outputs else None
    if not isinstance(found, dict):
        return None
    text = next((found[name] for name in _SUMMARY if isinstance(found.get(name), str)), None)
    return None if text is None else re.sub(r"\s+", " ", text).strip()[:200] or None


def _running(connection: Connection, workspace_id: str) -> list[schemas.RunningView]:
    found = []
    for run in repository.running(connection, workspace_id, SHOWN_RUNNING):
        typical = [
            _ms(row) or 0
            for row in repository.last_runs(connection, run["flow_id"], RHYTHM)
            if row["status"] == "succeeded"
        ]
        found.append(
            schemas.RunningView(
                run=run["id"],
                number=run["number"],
                flow=run["flow"],
                name=run["name"],
                step=repository.current_step(connection, run["id"]),
                started_at=to_rfc3339(run["started_at"] or run["created_at"]),
                typical_ms=round(median(typical)) if typical else None,
            )
        )
    return found
