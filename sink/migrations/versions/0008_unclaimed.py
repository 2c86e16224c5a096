"""Requests that are claimed wait for an answer, thousands at a time: who looks for others need not go through them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAME, _TABLE = "instep_replay_unsent", "instep_replay"
_UNSENT = "verdict IS NULL AND sent_us IS NULL"


def upgrade() -> None:
    _make(f"{_UNSENT} AND claimed_us IS NULL")


def downgrade() -> None:
    _make(_UNSENT)


def _make(condition: str) -> None:
    op.drop_index(_NAME, _TABLE)
    where = sa.text(condition)
    op.create_index(_NAME, _TABLE, ["requested_us"], sqlite_where=where, postgresql_where=where)
