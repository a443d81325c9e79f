"""The version's number in what a search by text looks at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NUMBER = "(SELECT model_version FROM model_versions WHERE model_versions.id = version_search.version_id)"


def upgrade() -> None:
    op.execute(
        sa.text(f"UPDATE version_search SET text = text || :line || {_NUMBER}").bindparams(line="\n")  # noqa: S608
    )


def downgrade() -> None:
    # The number is the last line: `search_text` writes it there, too.
    op.execute(f"UPDATE version_search SET text = substr(text, 1, length(text) - 1 - length({_NUMBER}))")  # noqa: S608
