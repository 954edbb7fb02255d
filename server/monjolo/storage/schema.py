"""Every table, for both dialects. Instants are BIGINT microseconds (UTC), JSON is text, ids are UUIDv7 text.

The run path writes these tables with plain SQL; Alembic reads this file to make migrations.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

Text, Int, Big, Bytes = sa.Text, sa.Integer, sa.BigInteger, sa.LargeBinary


def _table(name: str, *columns: sa.Column[object] | sa.Constraint | sa.Index, rowid: bool = True) -> sa.Table:
    return sa.Table(name, metadata, *columns, sqlite_with_rowid=rowid)


def _col(name: str, kind: type, *, null: bool = False, pk: bool = False, default: object = None) -> sa.Column[object]:
    server_default = None if default is None else sa.text(str(default))
    return sa.Column(name, kind(), primary_key=pk, nullable=null, server_default=server_default)


def _index_where(condition: str, name: str, *columns: str) -> sa.Index:
    where = sa.text(condition)
    return sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


# --- installation, people -----------------------------------------------------------------------------------

meta = _table("meta", _col("key", Text, pk=True), _col("value", Text))
workspaces = _table(
    "workspaces",
    _col("id", Text, pk=True),
    _col("slug", Text),
    _col("name", Text),
    _col("created_at", Big),
    sa.UniqueConstraint("slug"),
)
users = _table(
    "users",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("name", Text),
    _col("email", Text),
    _col("password_hash", Text),
    _col("role", Text),
    _col("locale", Text),
    _col("timezone", Text),
    _col("disabled", Int, default=0),
    _col("created_at", Big),
    _col("updated_at", Big),
    sa.UniqueConstraint("workspace_id", "email"),
)
first_user = _table("first_user", _col("one", Int, pk=True), _col("user_id", Text))  # S12: one set-up wins
sessions = _table(
    "sessions",
    _col("id", Text, pk=True),
    _col("user_id", Text),
    _col("kind", Text),
    _col("csrf", Text, null=True),
    _col("created_at", Big),
    _col("expires_at", Big),
    _col("revoked_at", Big, null=True),
    _col("user_agent", Text, null=True),
    sa.Index("sessions_user", "user_id"),
)
refresh_tokens = _table(
    "refresh_tokens",
    _col("hash", Text, pk=True),
    _col("session_id", Text),
    _col("created_at", Big),
    _col("expires_at", Big),
    _col("used_at", Big, null=True),
    sa.Index("refresh_tokens_session", "session_id"),
)
api_tokens = _table(
    "api_tokens",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("user_id", Text),
    _col("name", Text),
    _col("prefix", Text),
    _col("hash", Text),
    _col("scopes", Text),
    _col("created_at", Big),
    _col("expires_at", Big, null=True),
    _col("last_used_at", Big, null=True),
    _col("revoked_at", Big, null=True),
    sa.UniqueConstraint("hash"),
    sa.Index("api_tokens_user", "user_id"),
)
audit = _table(
    "audit",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("at", Big),
    _col("actor", Text),
    _col("action", Text),
    _col("object", Text),
    _col("detail", Text),
    sa.Index("audit_at", "workspace_id", "at"),
)

# --- flows and triggers -------------------------------------------------------------------------------------

flows = _table(
    "flows",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("slug", Text),
    _col("name", Text),
    _col("description", Text, null=True),
    _col("state", Text),  # active | paused | draft
    _col("pause_reason", Text, null=True),
    _col("paused_by", Text, null=True),
    _col("labels", Text),
    _col("version", Int, default=0),
    _col("draft", Int, null=True),
    _col("revision", Int, default=1),
    _col("created_at", Big),
    _col("updated_at", Big),
    _col("deleted_at", Big, null=True),
    sa.UniqueConstraint("workspace_id", "slug"),
)
flow_versions = _table(
    "flow_versions",
    _col("flow_id", Text, pk=True),
    _col("number", Int, pk=True),
    _col("document", Text),
    _col("source", Text),
    _col("digest", Text),
    _col("resolved", Text),
    _col("message", Text, null=True),
    _col("author", Text, null=True),
    _col("draft", Int, default=0),
    _col("created_at", Big),
    _col("awaits", Text, null=True),  # the event types that its steps wait for
    _index_where("awaits IS NOT NULL", "flow_versions_awaits", "flow_id"),
)
triggers = _table(
    "triggers",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("flow_id", Text),
    _col("name", Text),
    _col("type", Text),
    _col("config", Text),
    _col("enabled", Int, default=1),
    _col("path", Text, null=True),
    _col("event", Text, null=True),
    _col("next_at", Big, null=True),  # when to wake: `instant` and its jitter
    _col("instant", Big, null=True),
    _col("since", Big),
    sa.UniqueConstraint("flow_id", "name"),
    sa.UniqueConstraint("workspace_id", "path"),
    sa.Index("triggers_due", "next_at"),
    sa.Index("triggers_event", "workspace_id", "event"),
)
ticks = _table(
    "ticks",
    _col("trigger_id", Text, pk=True),
    _col("instant", Big, pk=True),
    _col("flow_id", Text),
    _col("status", Text),  # ran | missed | coalesced | skipped
    _col("late", Int, default=0),
    _col("run_id", Text, null=True),
    _col("reason", Text, null=True),
    _col("decided_at", Big),
    sa.Index("ticks_flow", "flow_id", "instant"),
    rowid=False,
)
backfills = _table(
    "backfills",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("flow_id", Text),
    _col("trigger_id", Text),
    _col("trigger_name", Text),
    _col("config", Text),  # of the trigger, as it was when it was asked for: its instants stay the same
    _col("since", Big),
    _col("state", Text),  # running | done | cancelled
    _col("reason", Text, null=True),
    _col("low", Big),
    _col("high", Big),
    _col("place", Big),  # what is before it, or after it when it goes backwards, has been looked at
    _col("reprocess", Text),  # none | failed | all
    _col("direction", Text),  # asc | desc
    _col("max_active", Int),
    _col("instants", Int),
    _col("started", Int, default=0),
    _col("passed", Int, default=0),
    _col("declined", Int, default=0),
    _col("succeeded", Int, default=0),
    _col("failed", Int, default=0),
    _col("revision", Int, default=0),
    _col("actor", Text),
    _col("created_at", Big),
    _col("finished_at", Big, null=True),
    sa.Index("backfills_flow", "flow_id", "id"),
    _index_where("finished_at IS NULL", "backfills_open", "id"),
)
backfill_runs = _table(
    "backfill_runs",  # those of a backfill that are not known to have ended
    _col("backfill_id", Text, pk=True),
    _col("run_id", Text, pk=True),
    rowid=False,
)
idempotency = _table(
    "idempotency",
    _col("workspace_id", Text, pk=True),
    _col("scope", Text, pk=True),
    _col("key", Text, pk=True),
    _col("fingerprint", Text, null=True),
    _col("run_id", Text, null=True),
    _col("answer", Text, null=True),
    _col("expires_at", Big),
    sa.Index("idempotency_expires", "expires_at"),
    rowid=False,
)
events = _table(
    "events",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("type", Text),
    _col("data", Text),
    _col("source", Text),
    _col("at", Big),
    _col("done_at", Big, null=True),
    sa.Index("events_at", "workspace_id", "at"),
    _index_where("done_at IS NULL", "events_open", "id"),
)

# --- runs ---------------------------------------------------------------------------------------------------

runs = _table(
    "runs",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("number", Big),
    _col("flow_id", Text),
    _col("flow", Text),
    _col("version", Int),
    _col("status", Text),
    _col("reason", Text, null=True),
    _col("revision", Int, default=0),
    _col("seed", Big),
    _col("priority", Int, default=50),
    _col("trigger_type", Text),
    _col("trigger", Text),
    _col("inputs", Text),
    _col("labels", Text),
    _col("context", Text),
    _col("head", Text),
    _col("outputs", Text, null=True),
    _col("error", Text, null=True),
    _col("root_run_id", Text),
    _col("parent_run_id", Text, null=True),
    _col("parent_key", Text, null=True),
    _col("parent_token", Int, null=True),
    _col("depth", Int, default=0),
    _col("repeat_of", Text, null=True),
    _col("actor", Text, null=True),
    _col("quarantined", Text, null=True),
    _col("created_at", Big),
    _col("started_at", Big, null=True),
    _col("finished_at", Big, null=True),
    sa.Index("runs_flow", "flow_id", "id"),
    sa.Index("runs_status", "workspace_id", "status", "id"),
    _index_where("parent_run_id IS NOT NULL", "runs_parent", "parent_run_id"),
    _index_where("finished_at IS NOT NULL", "runs_ended", "flow_id", "finished_at"),
)
steps = _table(
    "steps",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("status", Text),
    _col("reason", Text, null=True),
    _col("attempt", Int, default=0),
    _col("item", Int, default=0),  # 1: below a fan-out
    _col("ended", Int, default=0),
    _col("state", Text),
    _col("output", Text, null=True),
    _col("error", Text, null=True),
    _col("reused_from", Text, null=True),
    _col("started_at", Big, null=True),
    _col("finished_at", Big, null=True),
    rowid=False,
)
attempts = _table(
    "attempts",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("token", Int, pk=True),
    _col("attempt", Int),
    _col("status", Text),
    _col("worker", Text, null=True),
    _col("error", Text, null=True),
    _col("queued_at", Big),
    _col("started_at", Big, null=True),
    _col("finished_at", Big, null=True),
    rowid=False,
)
fanouts = _table(
    "fanouts",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("items", Text),
    rowid=False,
)
tasks = _table(
    "tasks",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("token", Int),
    _col("attempt", Int),
    _col("flow_id", Text),
    _col("worker_group", Text),
    _col("state", Text),  # ready | dispatched | started
    _col("priority", Int, default=50),
    _col("alone", Int, default=0),
    _col("at_most_once", Int, default=0),
    _col("inputs", Text),
    _col("not_after", Big, null=True),
    _col("worker", Text, null=True),
    _col("ready_at", Big),
    _col("queue_at", Big, default=0),  # ready_at, a minute earlier for each point of priority
    _col("dispatched_at", Big, null=True),
    _col("lease_until", Big, null=True),
    _index_where("state = 'ready'", "tasks_ready", "worker_group", "flow_id", "queue_at"),
    rowid=False,
)
timers = _table(
    "timers",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("kind", Text, pk=True),
    _col("token", Int),
    _col("due_at", Big),
    sa.Index("timers_due", "due_at"),
    rowid=False,
)
inbox = _table(
    "inbox",
    sa.Column("id", Int(), primary_key=True, autoincrement=True),
    _col("run_id", Text),
    _col("event", Text),
    _col("at", Big),
    sa.Index("inbox_run", "run_id"),
)
event_waits = _table(
    "event_waits",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("token", Int),
    _col("workspace_id", Text),
    _col("type", Text),
    sa.Index("event_waits_type", "workspace_id", "type"),
    rowid=False,
)
slots = _table(
    "slots",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("workspace_id", Text),
    _col("slot_key", Text),
    _col("state", Text),  # waiting | held
    _col("slot_limit", Int),
    _col("asked_at", Big),
    _col("queue_at", Big, default=0),
    sa.Index("slots_key", "workspace_id", "slot_key", "state", "queue_at", "run_id", "key"),
    rowid=False,
)
outbox = _table(
    "outbox",
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("kind", Text),
    _col("data", Text),
    _col("at", Big),
)
log_chunks = _table(
    "log_chunks",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("attempt", Int, pk=True),
    _col("token", Int, pk=True),
    _col("first", Int, pk=True),
    _col("lines", Int),
    _col("bytes", Int),
    _col("from_at", Big),
    _col("to_at", Big),
    _col("levels", Text),
    _col("data", Bytes),
    _col("stored", Big, default=0),  # grows with each commit: the order in which a log is read
    rowid=False,
)
artifacts = _table(
    "artifacts",
    _col("run_id", Text, pk=True),
    _col("key", Text, pk=True),
    _col("name", Text, pk=True),
    _col("attempt", Int),
    _col("content_type", Text),
    _col("size", Big),
    _col("sha256", Text),
    _col("blob", Text),
    _col("created_at", Big),
    rowid=False,
)
kept_state = _table(
    "kept_state",  # ctx.state
    _col("flow_id", Text, pk=True),
    _col("step", Text, pk=True),
    _col("key", Text, pk=True),
    _col("value", Text),
    _col("updated_at", Big),
    rowid=False,
)
workers = _table(
    "workers",
    _col("id", Text, pk=True),
    _col("worker_group", Text),
    _col("started_at", Big),
    _col("heartbeat_at", Big),
    _col("capacity", Int),
    _col("held", Int),
    _col("version", Text),
    _col("bundles", Text),
    _col("ended_at", Big, null=True),
)

# --- sealed values, modules ---------------------------------------------------------------------------------

sealed = _table(
    "sealed",  # secrets and connection fields; value is ciphertext, never returned
    _col("id", Text, pk=True),
    _col("workspace_id", Text),
    _col("kind", Text),  # secret | connection
    _col("name", Text),
    _col("type", Text, null=True),
    _col("title", Text, null=True),
    _col("fields", Text, null=True),
    _col("value", Bytes),
    _col("key_id", Text),
    _col("version", Int, default=1),
    _col("revision", Int, default=1),
    _col("hosts", Text, null=True),
    _col("created_at", Big),
    _col("updated_at", Big),
    _col("last_used_at", Big, null=True),
    sa.UniqueConstraint("workspace_id", "kind", "name"),
)
variables = _table(
    "variables",
    _col("workspace_id", Text, pk=True),
    _col("name", Text, pk=True),
    _col("value", Text),
    _col("revision", Int, default=1),
    _col("updated_at", Big),
)
module_versions = _table(
    "module_versions",
    _col("id", Text, pk=True),
    _col("version", Text, pk=True),
    _col("digest", Text, pk=True),
    _col("source", Text),  # built-in | file | folder | wheel
    _col("path", Text),
    _col("manifest", Text),
    _col("environment", Text, null=True),
    _col("current", Int, default=0),
    _col("created_at", Big),
    sa.Index("module_versions_digest", "digest"),
)
module_faults = _table(
    "module_faults",
    _col("path", Text, pk=True),
    _col("module", Text, null=True),
    _col("error", Text),
    _col("traceback", Text, null=True),
    _col("at", Big),
)
