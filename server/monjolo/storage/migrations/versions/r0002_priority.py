"""Whose turn it is, among tasks and among those that wait for a slot, is one column of an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_READY = sa.text("state = 'ready'")


def upgrade() -> None:
    op.drop_index("tasks_ready", "tasks")
    op.drop_index("slots_key", "slots")
    for table in ("tasks", "slots"):
        op.add_column(table, sa.Column("queue_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE tasks SET queue_at = ready_at - priority * 60000000")  # a minute of waiting for each point
    op.execute("UPDATE slots SET queue_at = asked_at - priority * 60000000")
    op.drop_column("slots", "priority")
    _index_tasks("flow_id", "queue_at")
    op.create_index("slots_key", "slots", ["workspace_id", "slot_key", "state", "queue_at", "run_id", "key"])


def downgrade() -> None:
    op.drop_index("tasks_ready", "tasks")
    op.drop_index("slots_key", "slots")
    op.add_column("slots", sa.Column("priority", sa.Integer(), server_default=sa.text("50"), nullable=False))
    for table in ("tasks", "slots"):
        op.drop_column(table, "queue_at")
    _index_tasks("priority", "ready_at")
    op.create_index("slots_key", "slots", ["workspace_id", "slot_key", "state", "priority", "asked_at"])


def _index_tasks(*columns: str) -> None:
    op.create_index("tasks_ready", "tasks", ["worker_group", *columns], sqlite_where=_READY, postgresql_where=_READY)
