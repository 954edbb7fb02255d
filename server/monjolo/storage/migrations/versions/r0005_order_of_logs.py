"""The order in which the lines of a run were stored: whoever reads on from a place misses nothing that came late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("log_chunks", sa.Column("stored", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.execute("UPDATE log_chunks SET stored = from_at")


def downgrade() -> None:
    op.drop_column("log_chunks", "stored")
