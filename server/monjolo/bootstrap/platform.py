"""Settings in, wired objects out: the whole platform in one process, on SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

import monjolo
import monjolo_sdk
from monjolo.blobs.folder import FolderBlobs
from monjolo.bootstrap.door import LocalDoor
from monjolo.bootstrap.trial import Trial
from monjolo.broker.memory import MemoryBroker
from monjolo.bus.memory import MemoryBus
from monjolo.domains.audit import endpoints as audit_endpoints
from monjolo.domains.audit.repository import record as record_audit
from monjolo.domains.connections import endpoints as connection_endpoints
from monjolo.domains.connections.naming import NamedValues
from monjolo.domains.connections.sealing import KeyRing, open_ring
from monjolo.domains.connections.service import ConnectionService
from monjolo.domains.connections.types import TypeBook
from monjolo.domains.connections.variables import VariableService
from monjolo.domains.flows import endpoints as flow_endpoints
from monjolo.domains.flows.service import FlowsService
from monjolo.domains.modules import endpoints as module_endpoints
from monjolo.domains.modules.bundles import BundleStore
from monjolo.domains.modules.environments import Environments
from monjolo.domains.modules.registry import Folders, Registry
from monjolo.domains.modules.service import ModuleService
from monjolo.domains.reports import endpoints as report_endpoints
from monjolo.domains.reports.service import ReportService
from monjolo.domains.runs import consumers as run_consumers
from monjolo.domains.runs import endpoints as run_endpoints
from monjolo.domains.runs.acceptance import Acceptance
from monjolo.domains.runs.advance import Advance
from monjolo.domains.runs.cache import RunCache
from monjolo.domains.runs.consumers import Consumers
from monjolo.domains.runs.dispatch import Dispatcher, TaskName
from monjolo.domains.runs.evaluation import Evaluators
from monjolo.domains.runs.figures import RunFigures
from monjolo.domains.runs.leases import Leases
from monjolo.domains.runs.live import LiveRuns
from monjolo.domains.runs.logs import LogStore
from monjolo.domains.runs.numbers import Numbers
from monjolo.domains.runs.repair import Repair
from monjolo.domains.runs.restored import in_doubt_until as read_in_doubt_until
from monjolo.domains.runs.sealer import TaskSealer
from monjolo.domains.runs.service import RunsService
from monjolo.domains.runs.workers import WorkersBook
from monjolo.domains.triggers import endpoints as trigger_endpoints
from monjolo.domains.triggers.backfill import BackfillService
from monjolo.domains.triggers.catch_up import CatchUpService
from monjolo.domains.triggers.clockwork import Clockwork
from monjolo.domains.triggers.events import EventService
from monjolo.domains.triggers.listeners import EventListeners
from monjolo.domains.triggers.registry import TriggerRegistry
from monjolo.domains.triggers.schedule import ScheduleService
from monjolo.domains.triggers.service import TriggersService
from monjolo.domains.triggers.webhooks import WebhookService
from monjolo.domains.triggers.wishes import Wishes
from monjolo.domains.users import endpoints as user_endpoints
from monjolo.domains.users.keys import load_or_create_signing_key
from monjolo.domains.users.passwords import Passwords
from monjolo.domains.users.service import Users
from monjolo.domains.users.sessions import Sessions
from monjolo.domains.users.setup import SetUp
from monjolo.domains.users.tokens import TokenSigner
from monjolo.http.app import API, create_app
from monjolo.http.auth import Authentication
from monjolo.http.dashboard import Dashboard
from monjolo.http.limits import RateLimiter
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SECOND, SystemClock
from monjolo.observability.metrics import Metrics
from monjolo.settings import Settings
from monjolo.storage.migrate import workspace_id as read_workspace_id
from monjolo.storage.pruning import Keep
from monjolo.storage.retention import Ages, Retention
from monjolo.storage.sqlite import SqliteDatabase
from monjolo.worker.worker import Worker, WorkerSettings
from monjolo_sdk.wire import Limits

GROUP = "default"
WINDOW = 2_000


@dataclass(slots=True)
class Platform:
    """Everything that runs, built and not yet started."""

    settings: Settings
    database: SqliteDatabase
    app: Starlette
    consumers: Consumers
    repair: Repair
    clockwork: Clockwork
    registry: Registry
    worker: Worker
    workers: WorkersBook
    retention: Retention
    set_up: SetUp
    users: Users
    sessions: Sessions
    runs: RunsService
    flows: FlowsService
    clock: SystemClock
    listeners: EventListeners


@dataclass(slots=True)
class _Base:
    """What every part stands on."""

    settings: Settings
    database: SqliteDatabase
    clock: SystemClock
    workspace_id: str
    ring: KeyRing
    bus: MemoryBus
    broker: MemoryBroker
    blobs: FolderBlobs
    metrics: Metrics
    in_doubt_until: int


def shipped(name: str) -> Path:
    """The folder of built-in modules or recipes: in the package, or in the repository it is developed in."""
    inside = Path(monjolo.__file__).parent / "_shipped" / name
    return inside if inside.is_dir() else Path(monjolo.__file__).parents[2] / name


def built_dashboard(public_url: str | None) -> Dashboard | None:
    """From the package, or from the repository it is developed in; None where nobody has built it."""
    folder = shipped("web")
    dashboard = Dashboard(folder / "dist" if (folder / "package.json").is_file() else folder, public_url)
    return dashboard if dashboard.built else None


def task_limits(settings: Settings) -> Limits:
    step = settings.step
    return Limits(memory_bytes=step.memory_limit, log_bytes=step.log_limit, output_bytes=step.output_limit)


async def build(settings: Settings) -> Platform:
    """Wires the platform. The data folder is locked and its database is at this version's tables."""
    base = await _base(settings)
    registry = Registry(
        database=base.database,
        clock=base.clock,
        folders=Folders(shipped("modules"), settings.modules_folder, Path(monjolo_sdk.__file__).parent),
        store=BundleStore(settings.data / "bundles"),
        environments=Environments(settings.data / "environments"),
    )
    connections = ConnectionService(base.database, base.clock, base.ring, TypeBook(registry.connection_types))
    names = NamedValues(base.database, connections)
    flows = FlowsService(base.database, base.clock, registry, TriggerRegistry(), record_audit)
    return _Wiring(base, registry, connections, names, flows).platform()


async def _base(settings: Settings) -> _Base:
    database = SqliteDatabase(settings.database_file)
    workspace_id = await database.read(read_workspace_id)
    given = settings.secret_key.get_secret_value() if settings.secret_key else None
    ring = await database.write(lambda c: open_ring(c, settings.keys_folder, given))
    in_doubt_until = await database.read(read_in_doubt_until)
    return _Base(
        settings,
        database,
        SystemClock(),
        workspace_id,
        ring,
        MemoryBus(),
        MemoryBroker(),
        FolderBlobs(settings.blobs_folder),
        Metrics(CollectorRegistry()),
        in_doubt_until,
    )


class _Wiring:
    def __init__(
        self,
        base: _Base,
        registry: Registry,
        connections: ConnectionService,
        names: NamedValues,
        flows: FlowsService,
    ) -> None:
        self.base, self.registry, self.connections, self.names, self.flows = base, registry, connections, names, flows
        self.leases = Leases()
        self.listeners = EventListeners(base.database)
        self.logs = LogStore(base.database, base.bus, base.clock)
        self.workers = WorkersBook(base.database, base.bus)
        self._wire_runs()
        self._wire_triggers()
        self._wire_users()
        self._wire_worker()

    def _wire_runs(self) -> None:
        base, evaluators = self.base, Evaluators()
        self.sealer = TaskSealer(self.connections, self.registry)
        acceptance = Acceptance(
            self.flows, evaluators, Numbers(base.database), self.names.variables, base.clock,
            base.settings.run.inputs_limit,
        )  # fmt: skip
        self.dispatcher = Dispatcher(
            base.database,
            self.flows,
            base.broker,
            self.sealer,
            base.clock,
            group=GROUP,
            window=WINDOW,
            limits=task_limits(base.settings),
            refused=self._refused,
            in_doubt_until=base.in_doubt_until,
        )
        self.advance = Advance(
            base.database,
            acceptance,
            RunCache(base.database, self.flows),
            evaluators,
            self.dispatcher,
            self.leases,
            self.logs,
            base.broker,
            base.clock,
            group=GROUP,
            find_flow=self.flows.id_of,
            wants_event=self.listeners.wants,
        )
        self.runs = RunsService(
            base.database, self.flows, acceptance, self.advance, self.dispatcher, base.clock, group=GROUP
        )
        self.advance.listeners += [LiveRuns(base.bus), RunFigures(base.metrics)]
        self.repair = Repair(base.database, self.advance, self.dispatcher, self.leases, base.clock)
        self.consumers = Consumers(
            base.database, self.advance, self.dispatcher, self.leases, self.logs, self.workers, base.broker, base.clock,
            self.repair,
        )  # fmt: skip

    async def _refused(self, refused: Sequence[tuple[TaskName, MonjoloError]]) -> None:
        self.advance.post(run_consumers.refusals(refused, self.base.clock.now()))

    def _wire_triggers(self) -> None:
        base = self.base
        wishes = Wishes(self.flows, self.names.variables)
        rate = float(base.settings.schedule.release_rate)
        self.events = EventService(base.database, self.runs, wishes, base.clock)
        schedules = ScheduleService(base.database, self.runs, wishes, catch_up_per_second=rate)
        self.webhooks = WebhookService(base.database, self.runs, wishes, self.names.secret, base.clock)
        self.backfills = BackfillService(base.database, self.runs, self.flows, wishes, base.clock)
        self.catch_up = CatchUpService(base.database, self.runs, wishes, base.clock)
        self.clockwork = Clockwork(schedules, self.backfills, self.events, base.clock)
        self.backfills.moved = self.clockwork.backfill_moved
        self.advance.listeners.append(self.backfills)
        self.advance.event_was_put = self.clockwork.event_told
        self.events.told = self._event_told
        self.flows.changed = self._flows_changed

    def _flows_changed(self) -> None:
        self.listeners.forget()
        self.clockwork.schedules_moved()
        self._event_told()

    def _event_told(self) -> None:
        """A trigger may ask for a run, or a run may have been told of it."""
        self.clockwork.event_told()
        self.advance.inbox_has_news.set()

    def _wire_users(self) -> None:
        base, settings = self.base, self.base.settings
        passwords = Passwords()
        self.signer = TokenSigner(load_or_create_signing_key(settings.keys_folder), self._issuer(), base.clock)
        self.sessions = Sessions(base.database, base.clock, self.signer, passwords, base.workspace_id)
        self.authentication = Authentication(self.sessions, base.clock, allow_http=settings.allow_http)
        forget = self.authentication.forget
        self.set_up = SetUp(base.database, base.clock, self.sessions, passwords, base.workspace_id)
        self.users = Users(base.database, base.clock, passwords, base.workspace_id, forget)
        self.user_services = user_endpoints.UserServices(
            self.sessions, self.set_up, self.users, RateLimiter(), base.clock, forget, settings.allow_http,
            lambda: self.url[0],
        )  # fmt: skip

    def _issuer(self) -> str:
        return f"monjolo:{self.base.workspace_id}"

    def _wire_worker(self) -> None:
        base, settings = self.base, self.base.settings
        self.url = [settings.public_url or ""]
        self.door = LocalDoor(
            self.registry, base.database, base.blobs, self.sessions, base.workspace_id, lambda: self.url[0]
        )
        self.worker_settings = WorkerSettings(
            group=GROUP,
            slots=settings.worker.runners,
            heartbeat_when_idle=False,
            idle_seconds=settings.worker.idle / SECOND,
            memory_bytes=settings.worker.memory,
            limits=task_limits(settings),
            egress_allow=tuple(map(str, settings.egress.allow)),
            folder=settings.data / "tmp",
            version=package_version("monjolo"),
        )
        self.worker = Worker(base.broker, self.door, self.worker_settings, base.clock)

    def _routers(self) -> list[APIRouter]:
        base = self.base
        trial = Trial(self.door, self.sealer, self.worker_settings)
        modules = ModuleService(
            self.registry,
            database=base.database,
            clock=base.clock,
            dropped=base.settings.modules_folder,
            run_action=trial,
        )
        return [
            run_endpoints.router(
                self.runs, self.flows, self.logs, self.workers, base.blobs, base.bus, base.database, base.clock
            ),
            flow_endpoints.router(self.flows),
            trigger_endpoints.router(
                TriggersService(base.database, base.clock), self.webhooks, self.events, self.catch_up, self.backfills
            ),
            module_endpoints.router(modules),
            connection_endpoints.router(self.connections, VariableService(base.database, base.clock)),
            report_endpoints.router(ReportService(base.database, base.clock), shipped("flows")),
            audit_endpoints.router(base.database),
            user_endpoints.router(self.user_services),
        ]

    async def _ready(self) -> dict[str, str]:
        """What keeps the platform from working, by name."""
        try:
            await asyncio.wait_for(self.base.database.write(lambda c: None), 5)
        except MonjoloError as error:
            return {"database": error.detail}
        except TimeoutError:
            return {"database": "no write was possible within 5 s"}
        return {}

    def platform(self) -> Platform:
        base, settings = self.base, self.base.settings
        keep = settings.retention
        app = create_app(
            self._routers(),
            self.authentication,
            version=package_version("monjolo"),
            ready=self._ready,
            root_routers=[user_endpoints.well_known_router(self.signer)],
            exposition=base.metrics.exposition,
            metrics_open=settings.http.open_metrics,
            measure=base.metrics.measure_request,
            body_limits={f"{API}/hooks/{{path:path}}": settings.http.webhook_body_limit},
            dashboard=built_dashboard(settings.public_url),
        )
        app.state.platform_url = self.url
        retention = Retention(
            base.database,
            base.database,
            base.blobs.delete,
            Keep(keep.runs, keep.days, keep.log_days),
            Ages(keep.event_days, keep.tick_days, keep.audit_days),
        )
        return Platform(
            settings=settings,
            database=base.database,
            app=app,
            consumers=self.consumers,
            repair=self.repair,
            clockwork=self.clockwork,
            registry=self.registry,
            worker=self.worker,
            workers=self.workers,
            retention=retention,
            set_up=self.set_up,
            users=self.users,
            sessions=self.sessions,
            runs=self.runs,
            flows=self.flows,
            clock=base.clock,
            listeners=self.listeners,
        )
