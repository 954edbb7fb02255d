"""How Alembic reaches the tables: by a connection handed in, or, offline, by writing the SQL down."""

from __future__ import annotations

from typing import Any

from alembic import context

from monjolo.storage.schema import metadata

_OPTIONS: dict[str, Any] = {"target_metadata": metadata, "render_as_batch": True, "transactional_ddl": True}


def run() -> None:
    connection = context.config.attributes.get("connection")
    if context.is_offline_mode():
        context.configure(
            dialect_name=context.config.get_main_option("dialect") or "sqlite", literal_binds=True, **_OPTIONS
        )
    else:
        context.configure(connection=connection, **_OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


run()
