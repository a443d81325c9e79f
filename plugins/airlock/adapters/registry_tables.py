"""The registry's tables. Migrations in `migrations/` make them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: One row per version that was ever reserved. (model_name, model_version) is the lock against concurrent imports.
model_versions = Table(
    "model_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_name", String(64), nullable=False),
    Column("model_version", String(8), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # The step in which a Failed version failed: what may take it up again.
    Column("failed_step", String(250), nullable=False, server_default=""),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("details", JSON, nullable=False),
    UniqueConstraint("model_name", "model_version"),
    Index("ix_model_versions_run", "dag_id", "run_id"),
    Index("ix_model_versions_created_at", "created_at"),
)

#: The history of each version.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("run", String(502), nullable=False),
    Index("ix_events_version_id", "version_id", "id"),
)
