"""Columns for what is filtered on, records apart, and tables for models, labels, devices, aliases, health and audit.

The first schema's rows keep all they say: what has a column or a table of its own now is read from their JSON.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in _version_columns():
        op.add_column("model_versions", column)
    op.add_column("events", sa.Column("actor", sa.String(250), nullable=False, server_default=""))
    _make_tables()
    _move(op.get_bind())
    # In place, not by copying the table: on SQLite that would take the history with it.
    op.drop_column("model_versions", "summary")
    op.drop_column("model_versions", "details")
    # The order of ids is the order of creation.
    op.drop_index("ix_model_versions_created_at", "model_versions")
    op.create_index("ix_model_versions_rebuild", "model_versions", ["rebuild_dag_id", "rebuild_run_id"])
    op.create_index("ix_model_versions_rank", "model_versions", ["model_name", "version_rank"])
    op.create_index("ix_model_versions_status", "model_versions", ["status", "id"])
    op.create_index("ix_model_versions_engine", "model_versions", ["engine", "id", "status"])
    op.create_index("ix_model_versions_package", "model_versions", ["package_digest", "status"])


def _version_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("version_rank", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("rebuild_dag_id", sa.String(250), nullable=False, server_default=""),
        sa.Column("rebuild_run_id", sa.String(250), nullable=False, server_default=""),
        sa.Column("created_by", sa.String(250), nullable=False, server_default=""),
        sa.Column("description", sa.Text(), nullable=False, server_default=""),
        sa.Column("source", sa.Text(), nullable=False, server_default=""),
        sa.Column("engine", sa.String(64), nullable=False, server_default=""),
        sa.Column("runtime", sa.String(128), nullable=False, server_default=""),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("package_digest", sa.String(80), nullable=False, server_default=""),
        sa.Column("image_digest", sa.String(250), nullable=False, server_default=""),
        sa.Column("stage", sa.String(16), nullable=False, server_default="None"),
    )


def _of_version(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_versions.id"], name=f"fk_{table}_version_id_model_versions", ondelete="CASCADE"
        ),
    )


def _make_tables() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("last_version_id", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("live", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )
    op.create_index("ix_models_last_version_id", "models", ["last_version_id"])
    op.create_table(
        "version_search",
        *_of_version("version_search"),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version_id", name="pk_version_search"),
    )
    op.create_table(
        "version_records",
        *_of_version("version_records"),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version_id", name="pk_version_records"),
    )
    op.create_table(
        "version_labels",
        *_of_version("version_labels"),
        sa.Column("label", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "label", name="pk_version_labels"),
    )
    op.create_index("ix_version_labels_label", "version_labels", ["label", "version_id"])
    op.create_table(
        "version_devices",
        *_of_version("version_devices"),
        sa.Column("device", sa.String(16), nullable=False),
        sa.Column("result", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "device", name="pk_version_devices"),
    )
    op.create_index("ix_version_devices_result", "version_devices", ["device", "result", "version_id"])
    op.create_table(
        "version_install_types",
        *_of_version("version_install_types"),
        sa.Column("install_type", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "install_type", name="pk_version_install_types"),
    )
    op.create_index("ix_version_install_types_type", "version_install_types", ["install_type", "version_id"])
    op.create_table(
        "version_documents",
        *_of_version("version_documents"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "position", name="pk_version_documents"),
    )
    op.create_table(
        "aliases",
        sa.Column("model_name", sa.String(64), nullable=False),
        sa.Column("alias", sa.String(64), nullable=False),
        *_of_version("aliases"),
        sa.Column("set_by", sa.String(250), nullable=False),
        sa.Column("set_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("model_name", "alias", name="pk_aliases"),
    )
    op.create_index("ix_aliases_version_id", "aliases", ["version_id"])
    op.create_table(
        "health_points",
        sa.Column("id", sa.Integer(), nullable=False),
        *_of_version("health_points"),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("device", sa.String(16), nullable=False),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("p50_ms", sa.Float(), nullable=True),
        sa.Column("p99_ms", sa.Float(), nullable=True),
        sa.Column("ready_s", sa.Float(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("run", sa.String(502), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_health_points"),
    )
    op.create_index("ix_health_points_version_id", "health_points", ["version_id", "id"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(250), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("model_name", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(8), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_version", "audit", ["model_name", "model_version", "id"])


def _move(connection: sa.Connection) -> None:
    """Fill the new tables and columns from the old rows."""
    tables = sa.MetaData()
    tables.reflect(connection)
    old = tables.tables["model_versions"]
    known: dict[str, dict[str, Any]] = {}
    rows = connection.execute(sa.select(old).order_by(old.c.id)).mappings().all()
    for row in rows:
        summary, details = _json(row["summary"]), _json(row["details"])
        request = details.get("accepted", {}).get("request", {})
        labels = list(summary.get("labels", ()))
        engine, runtime = summary.get("engine") or "", summary.get("runtime") or ""
        description = request.get("description") or ""
        major, minor, patch = (int(part) for part in row["model_version"].split("."))
        connection.execute(
            old
            .update()
            .where(old.c.id == row["id"])
            .values(
                version_rank=(major * 100 + minor) * 100 + patch,
                description=description,
                source=summary.get("source") or "",
                engine=engine,
                runtime=runtime,
                size_bytes=summary.get("size_bytes"),
                package_digest=summary.get("package_digest") or "",
                image_digest=summary.get("image_digest") or "",
            )
        )
        text = "\n".join([row["model_name"], description, *labels, engine, runtime]).casefold()
        found = [] if row["status"] == "Deleted" else [{"name": row["model_name"].casefold(), "text": text}]
        of_version: dict[str, list[dict[str, Any]]] = {
            "version_search": found,
            "version_records": [{"summary": summary, "details": details}] if summary or details else [],
            "version_labels": [{"label": label} for label in labels],
            "version_devices": [{"device": name, "result": told} for name, told in summary.get("devices", {}).items()],
            "version_install_types": [{"install_type": name} for name in summary.get("install_type", ())],
            "version_documents": [
                {"position": index, "name": item["name"], "url": item["url"]}
                for index, item in enumerate(request.get("documents", ()))
            ],
            "health_points": [
                _point(row, report) for report in details.get("reports", ()) if report.get("verdict") == "passed"
            ],
        }
        for name, values in of_version.items():
            for value in values:
                connection.execute(tables.tables[name].insert().values(version_id=row["id"], **value))
        model = known.setdefault(
            row["model_name"], {"name": row["model_name"], "created_at": row["created_at"], "live": 0}
        )
        model["last_version_id"] = row["id"]
        model["live"] += row["status"] != "Deleted"
    for model in known.values():
        connection.execute(tables.tables["models"].insert().values(**model))


def _json(value: Any) -> dict[str, Any]:
    # Reflection on SQLite finds the JSON type again; where it finds text, it is still JSON.
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return found


def _point(row: Any, report: dict[str, Any]) -> dict[str, Any]:
    latency = report.get("latency") or {}
    return {
        "at": row["updated_at"],
        "device": report["device"],
        "verdict": report["verdict"],
        "p50_ms": latency.get("p50"),
        "p99_ms": latency.get("p99"),
        "ready_s": report.get("ready_s"),
        "peak_memory_bytes": report.get("peak_memory_bytes"),
        "run": f"{row['dag_id']}/{row['run_id']}",
    }


def downgrade() -> None:
    raise NotImplementedError("the first schema has no place for what this one keeps; restore a backup instead")
