"""What a failed change carries, and when it was made; parked changes of a topic that was deleted and made anew."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = "worker_group, mapping, topic, partition, position, record_hash, record_id, timestamp_ms, key, value, headers"
_INDEX, _PARKED = "instep_parked_by_record", "instep_parked_change"


def upgrade() -> None:
    with op.batch_alter_table("instep_open_failure") as table:
        table.add_column(sa.Column("timestamp_ms", sa.BigInteger(), nullable=False, server_default="0"))
        # of what failed before nobody knows what it carries: any later change takes its place
        table.add_column(sa.Column("carries", sa.Text(), nullable=False, server_default="[]"))
    op.execute("UPDATE instep_open_failure SET timestamp_ms = first_failed_at_us / 1000")
    numbered = "row_number() OVER (ORDER BY timestamp_ms, position)"
    _make_anew(
        ["timestamp_ms"], [sa.Column("number", sa.BigInteger(), nullable=False)], ", number", f", {numbered}"
    )
    op.create_index(_INDEX, _PARKED, ["worker_group", "mapping", "record_hash", "number"])


def downgrade() -> None:
    _make_anew([], [], "", "")
    op.create_index(_INDEX, _PARKED, ["worker_group", "mapping", "record_hash", "position"])
    with op.batch_alter_table("instep_open_failure") as table:
        table.drop_column("carries")
        table.drop_column("timestamp_ms")


def _make_anew(more_keys: list[str], more: list[sa.Column[Any]], names: str, values: str) -> None:
    """Make the table of the parked changes anew, with more columns in its primary key and behind the others."""
    op.drop_index(_INDEX, _PARKED)
    op.rename_table(_PARKED, "instep_parked_before")
    op.create_table(
        _PARKED,
        sa.Column("worker_group", sa.String(200), primary_key=True),
        sa.Column("mapping", sa.String(200), primary_key=True),
        sa.Column("topic", sa.String(250), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False, primary_key="timestamp_ms" in more_keys),
        sa.Column("record_hash", sa.String(64), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        *more,
    )
    copied = f"SELECT {_COLUMNS}{values} FROM instep_parked_before"  # noqa: S608  our own names
    op.execute(f"INSERT INTO {_PARKED} ({_COLUMNS}{names}) {copied}")
    op.drop_table("instep_parked_before")
