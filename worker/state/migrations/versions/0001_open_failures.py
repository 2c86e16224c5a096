"""Open failures, and the changes parked behind them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "instep_open_failure",
        sa.Column("worker_group", sa.String(200), primary_key=True),
        sa.Column("mapping", sa.String(200), primary_key=True),
        sa.Column("record_hash", sa.String(64), primary_key=True),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("failure_id", sa.String(36), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(250), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("first_failed_at_us", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "instep_parked_change",
        sa.Column("worker_group", sa.String(200), primary_key=True),
        sa.Column("mapping", sa.String(200), primary_key=True),
        sa.Column("topic", sa.String(250), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True),
        sa.Column("record_hash", sa.String(64), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
    )
    op.create_index(
        "instep_parked_by_record",
        "instep_parked_change",
        ["worker_group", "mapping", "record_hash", "position"],
    )


def downgrade() -> None:
    op.drop_table("instep_parked_change")
    op.drop_table("instep_open_failure")
