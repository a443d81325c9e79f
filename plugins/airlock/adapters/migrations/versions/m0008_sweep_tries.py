"""When a sweep last began to look at each version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sweep_states", sa.Column("tried_at", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("sweep_states", "tried_at")
