"""Steps that wait for an event, found by its type; and which types the steps of a flow's version wait for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_AWAITS = sa.text("awaits IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "event_waits",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("event_waits_type", "event_waits", ["workspace_id", "type"])
    op.add_column("flow_versions", sa.Column("awaits", sa.Text(), nullable=True))
    op.create_index(
        "flow_versions_awaits", "flow_versions", ["flow_id"], sqlite_where=_AWAITS, postgresql_where=_AWAITS
    )


def downgrade() -> None:
    op.drop_index("flow_versions_awaits", "flow_versions")
    op.drop_column("flow_versions", "awaits")
    op.drop_table("event_waits")
