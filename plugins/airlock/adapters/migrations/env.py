"""Runs migrations on the connection that `airlock.adapters.registry_schema` hands over."""

from __future__ import annotations

from alembic import context

from airlock.adapters.registry_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter tables in place.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
