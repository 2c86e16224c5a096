"""A topic that was deleted and created again has other messages at the same offsets: both may be in quarantine."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLE, _NAME = "instep_quarantine", "instep_quarantine_once"
_PLACE = ["topic", "partition", "position"]


def upgrade() -> None:
    _make_unique([*_PLACE, "timestamp_ms"])


def downgrade() -> None:
    op.execute(
        f"DELETE FROM {_TABLE} WHERE id NOT IN (SELECT max(id) FROM {_TABLE} GROUP BY {', '.join(_PLACE)})"  # noqa: S608  our own names
    )
    _make_unique(_PLACE)


def _make_unique(columns: list[str]) -> None:
    with op.batch_alter_table(_TABLE) as table:
        table.drop_constraint(_NAME, type_="unique")
        table.create_unique_constraint(_NAME, columns)
