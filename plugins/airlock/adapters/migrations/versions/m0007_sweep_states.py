"""What sweeps remember of each version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sweep_states",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.Float(), nullable=False),
        sa.Column("tested_at", sa.Float(), nullable=False),
        sa.Column("rules", sa.String(64), nullable=False),
        sa.Column("runtime", sa.String(64), nullable=False),
        sa.Column("next_file", sa.Integer(), nullable=False),
        sa.Column("credit_bytes", sa.BigInteger(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("run", sa.String(502), nullable=False),
        sa.PrimaryKeyConstraint("version_id", name="pk_sweep_states"),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["model_versions.id"],
            name="fk_sweep_states_version_id_model_versions",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("sweep_states")
