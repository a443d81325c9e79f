"""What there is to filter by: how many versions bear each label, and an index that counts engines and statuses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "label_counts",
        sa.Column("label", sa.String(32), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("label", name="pk_label_counts"),
    )
    op.execute("INSERT INTO label_counts (label, versions) SELECT label, count(*) FROM version_labels GROUP BY label")
    op.create_index("ix_model_versions_counts", "model_versions", ["engine", "status"])


def downgrade() -> None:
    op.drop_index("ix_model_versions_counts", "model_versions")
    op.drop_table("label_counts")
