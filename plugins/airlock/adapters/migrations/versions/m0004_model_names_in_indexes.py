"""The model's name in every index that a search walks, so that listing models looks up no version's row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: Index → its table and columns before, and what is added at the end.
INDEXES = {
    "ix_version_labels_label": ("version_labels", ["label", "version_id"]),
    "ix_version_devices_result": ("version_devices", ["device", "result", "version_id"]),
    "ix_version_install_types_type": ("version_install_types", ["install_type", "version_id"]),
    "ix_model_versions_status": ("model_versions", ["status", "id"]),
    "ix_model_versions_engine": ("model_versions", ["engine", "id", "status"]),
}
NARROW = ("version_search", "version_labels", "version_devices", "version_install_types")


def upgrade() -> None:
    for table in NARROW:
        op.add_column(table, sa.Column("model_name", sa.String(64), nullable=False, server_default=""))
        op.execute(
            f"UPDATE {table} SET model_name = "  # noqa: S608 - names from above
            f"(SELECT model_name FROM model_versions WHERE model_versions.id = {table}.version_id)"
        )
    for name, (table, columns) in INDEXES.items():
        op.drop_index(name, table)
        op.create_index(name, table, [*columns, "model_name"])
    op.create_index("ix_version_search_model", "version_search", ["version_id", "model_name"])


def downgrade() -> None:
    op.drop_index("ix_version_search_model", "version_search")
    for name, (table, columns) in INDEXES.items():
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    for table in NARROW:
        op.drop_column(table, "model_name")
