"""What a failed change carries, and when it was made; parked changes of a topic that was deleted and made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = "worker_group, mapping, topic, partition, position, timestamp_ms, record_hash, record_id, key, value, headers"


def upgrade() -> None:
    op.add_column("instep_open_failure", sa.Column("timestamp_ms", sa.BigInteger(), nullable=True))
    # of what failed before nobody knows what it carries: any later change takes its place
    op.add_column(
        "instep_open_failure", sa.Column("carries", sa.Text(), nullable=False, server_default=sa.text("'[]'"))
    )
    _with_key("timestamp_ms")


def downgrade() -> None:
    _with_key()
    op.drop_column("instep_open_failure", "carries")
    op.drop_column("instep_open_failure", "timestamp_ms")


def _with_key(*more: str) -> None:
    """Make the table of the parked changes anew, with more columns in its primary key."""
    op.drop_index("instep_parked_by_record", "instep_parked_change")
    op.rename_table("instep_parked_change", "instep_parked_before")
    op.create_table(
        "instep_parked_change",
        sa.Column("worker_group", sa.String(200), primary_key=True),
        sa.Column("mapping", sa.String(200), primary_key=True),
        sa.Column("topic", sa.String(250), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False, primary_key="timestamp_ms" in more),
        sa.Column("record_hash", sa.String(64), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
    )
    op.execute(f"INSERT INTO instep_parked_change ({_COLUMNS}) SELECT {_COLUMNS} FROM instep_parked_before")  # noqa: S608  our own names
    op.drop_table("instep_parked_before")
    op.create_index(
        "instep_parked_by_record",
        "instep_parked_change",
        ["worker_group", "mapping", "record_hash", "position"],
    )
