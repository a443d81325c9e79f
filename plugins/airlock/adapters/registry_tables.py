"""The registry's tables. Migrations in `migrations/` make them; a test compares the two.

What is filtered on, sorted by or counted has columns; what is only shown lies in `version_records` as JSON, so that the
rows that are searched stay short.
Newest first means by descending id everywhere: one order that each index gives without sorting.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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


def _model_name() -> Column[str]:
    # A version's model never changes. Kept here too, it stands in the index that finds the version, so that models
    # are listed without a look at any version's row.
    return Column("model_name", String(64), nullable=False, server_default="")


#: One row per name that was ever used; importers of one model queue up at it.
models = Table(
    "models",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    # The newest version, and how many are not deleted: what a listing without filters sorts and counts by.
    Column("last_version_id", Integer, nullable=False, server_default="0"),
    Column("live", Integer, nullable=False, server_default="0"),
    Index("ix_models_last_version_id", "last_version_id"),
)

#: One row per version that was ever reserved. (model_name, model_version) is the lock against concurrent imports; the
#: row of a deleted version stays, so that its number is never given again.
model_versions = Table(
    "model_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_name", String(64), nullable=False),
    Column("model_version", String(8), nullable=False),
    Column("version_rank", Integer, nullable=False, server_default="0"),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # The step in which a Failed version failed: what may take it up again.
    Column("failed_step", String(250), nullable=False, server_default=""),
    # The run that imported it, and the one that rebuilds it with other dependencies.
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("rebuild_dag_id", String(250), nullable=False, server_default=""),
    Column("rebuild_run_id", String(250), nullable=False, server_default=""),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("created_by", String(250), nullable=False, server_default=""),
    Column("description", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("engine", String(64), nullable=False, server_default=""),
    Column("runtime", String(128), nullable=False, server_default=""),
    Column("size_bytes", BigInteger),
    Column("package_digest", String(80), nullable=False, server_default=""),
    Column("image_digest", String(250), nullable=False, server_default=""),
    Column("stage", String(16), nullable=False, server_default="None"),
    UniqueConstraint("model_name", "model_version"),
    Index("ix_model_versions_run", "dag_id", "run_id"),
    Index("ix_model_versions_rebuild", "rebuild_dag_id", "rebuild_run_id"),
    Index("ix_model_versions_rank", "model_name", "version_rank"),
    Index("ix_model_versions_status", "status", "id", "model_name"),
    Index("ix_model_versions_engine", "engine", "id", "status", "model_name"),
    Index("ix_model_versions_counts", "engine", "status"),
    Index("ix_model_versions_package", "package_digest", "status"),
)

#: What a search by text looks at, in one letter case: short rows, because all of them may be read. Nothing looks at
#: `name` any more; it stays because SQLite of old drops no column.
version_search = Table(
    "version_search",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("text", Text, nullable=False),
    _model_name(),
    Index("ix_version_search_model", "version_id", "model_name"),
)

#: What is shown of a version that was Normal once.
version_records = Table(
    "version_records",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("summary", JSON, nullable=False),
    Column("details", JSON, nullable=False),
)

version_labels = Table(
    "version_labels",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("label", String(32), primary_key=True),
    _model_name(),
    Index("ix_version_labels_label", "label", "version_id", "model_name"),
)

#: How many versions bear a label: counting a few hundred thousand rows for each look at the list would take too long.
label_counts = Table(
    "label_counts",
    metadata,
    Column("label", String(32), primary_key=True),
    Column("versions", Integer, nullable=False),
)

version_devices = Table(
    "version_devices",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("device", String(16), primary_key=True),
    Column("result", String(64), nullable=False),
    _model_name(),
    Index("ix_version_devices_result", "device", "result", "version_id", "model_name"),
)

version_install_types = Table(
    "version_install_types",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("install_type", String(16), primary_key=True),
    _model_name(),
    Index("ix_version_install_types_type", "install_type", "version_id", "model_name"),
)

version_documents = Table(
    "version_documents",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("url", Text, nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("model_name", String(64), primary_key=True),
    Column("alias", String(64), primary_key=True),
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), nullable=False),
    Column("set_by", String(250), nullable=False),
    Column("set_at", Float, nullable=False),
    Index("ix_aliases_version_id", "version_id"),
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
    Column("actor", String(250), nullable=False, server_default=""),
    Index("ix_events_version_id", "version_id", "id"),
)

#: How each version fared at its import and at every test after it.
health_points = Table(
    "health_points",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("device", String(16), nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("p50_ms", Float),
    Column("p99_ms", Float),
    Column("ready_s", Float),
    Column("peak_memory_bytes", BigInteger),
    Column("run", String(502), nullable=False),
    Index("ix_health_points_version_id", "version_id", "id"),
)

#: What sweeps remember of each version.
sweep_states = Table(
    "sweep_states",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("checked_at", Float, nullable=False),
    Column("tested_at", Float, nullable=False),
    # When a sweep last began to look at it, even if nothing came of that.
    Column("tried_at", Float, nullable=False, server_default="0"),
    Column("rules", String(64), nullable=False),
    Column("runtime", String(64), nullable=False),
    Column("next_file", Integer, nullable=False),
    Column("credit_bytes", BigInteger, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("run", String(502), nullable=False),
)

#: Who did what. By name and not by id: it outlives everything.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(250), nullable=False),
    Column("action", String(32), nullable=False),
    Column("model_name", String(64), nullable=False),
    Column("model_version", String(8), nullable=False),
    Column("changes", JSON, nullable=False),
    Index("ix_audit_version", "model_name", "model_version", "id"),
)

#: What a mirror was last told of each version, and whether it must be told again.
mirror_states = Table(
    "mirror_states",
    metadata,
    Column("version_id", Integer, ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True),
    # The mirror's own number of the version.
    Column("number", String(32), nullable=False),
    Column("aliases", JSON, nullable=False),
    Column("pending", Boolean, nullable=False),
    Index("ix_mirror_states_pending", "pending", "version_id"),
)

#: What became of each notification. By name as well.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("receiver", String(250), nullable=False),
    Column("model_name", String(64), nullable=False),
    Column("model_version", String(8), nullable=False),
    Column("status", String(16), nullable=False),
    Column("at", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("delivered", Boolean, nullable=False),
    Column("answer", Integer),
    Column("problem", Text, nullable=False),
    Index("ix_deliveries_version", "model_name", "model_version", "id"),
)
