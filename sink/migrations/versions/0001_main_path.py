"""Entries, messages, quarantine, positions, progress, replays, audit."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_entry()
    _create_payload()
    _create_quarantine()
    _create_ingest_position()
    _create_worker_progress()
    _create_replay()
    _create_audit()


def downgrade() -> None:
    for name in ("audit", "replay", "worker_progress", "ingest_position", "quarantine", "payload", "entry"):
        op.drop_table(f"instep_{name}")


def _create_entry() -> None:
    op.create_table(
        "instep_entry",
        sa.Column("id", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "key mapping direction record_id state"),
        *_columns(sa.BigInteger(), "row_version count"),
        *_columns(sa.Text(), "category code scope message parameters failure_id"),
        *_columns(sa.BigInteger(), "attempt"),
        *_columns(sa.Text(), "attempts"),
        *_columns(sa.BigInteger(), "first_failed_us last_failed_us"),
        *_columns(sa.BigInteger(), "retry_at_us", nullable=True),
        *_columns(sa.Text(), "waits_for", nullable=True),
        *_columns(sa.Text(), "source_app source_entity"),
        *_columns(sa.Text(), "source_link source_topic", nullable=True),
        *_columns(sa.Integer(), "source_partition", nullable=True),
        *_columns(sa.BigInteger(), "source_offset source_timestamp_ms", nullable=True),
        *_columns(sa.Text(), "target_app target_entity target_record_id"),
        *_columns(sa.Text(), "target_link exception_type top_frame trace", nullable=True),
        *_columns(sa.Text(), "worker worker_version replay_topic"),
        *_columns(sa.Text(), "payload_id replay_id resolved_by outcome", nullable=True),
        *_columns(sa.BigInteger(), "closed_us", nullable=True),
        *_columns(sa.Text(), "closed_by reason", nullable=True),
        *_columns(sa.BigInteger(), "ages_from_us", nullable=True),
    )
    op.create_index("instep_entry_by_time", "instep_entry", ["last_failed_us", "id"])
    op.create_index("instep_entry_by_record", "instep_entry", ["mapping", "record_id"])
    op.create_index("instep_entry_by_payload", "instep_entry", ["payload_id"])
    relevant = ["mapping", "category", "state", "first_failed_us"]
    _create_partial_index("entry_relevant", "entry", relevant, "state NOT IN ('resolved', 'discarded')")
    _create_partial_index("entry_waiting", "entry", ["retry_at_us"], "state = 'waiting'")
    _create_partial_index(
        "entry_closed", "entry", ["ages_from_us", "id"], "state IN ('resolved', 'discarded')"
    )


def _create_payload() -> None:
    op.create_table(
        "instep_payload",
        sa.Column("id", sa.Text(), primary_key=True),
        *_columns(sa.LargeBinary(), "key value", nullable=True),
        *_columns(sa.Text(), "headers"),
        *_columns(sa.BigInteger(), "touched_us"),
    )
    op.create_index("instep_payload_by_touch", "instep_payload", ["touched_us"])


def _create_quarantine() -> None:
    op.create_table(
        "instep_quarantine",
        sa.Column("id", sa.Integer(), primary_key=True),
        *_columns(sa.Text(), "topic"),
        *_columns(sa.Integer(), "partition"),
        *_columns(sa.BigInteger(), "position timestamp_ms"),
        *_columns(sa.LargeBinary(), "key value", nullable=True),
        *_columns(sa.Text(), "headers reason"),
        *_columns(sa.Boolean(), "newer"),
        *_columns(sa.BigInteger(), "quarantined_us"),
        sa.UniqueConstraint("topic", "partition", "position", name="instep_quarantine_once"),
    )


def _create_ingest_position() -> None:
    op.create_table(
        "instep_ingest_position",
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        *_columns(sa.BigInteger(), "position high_water updated_us"),
    )


def _create_worker_progress() -> None:
    op.create_table(
        "instep_worker_progress",
        sa.Column("worker", sa.Text(), primary_key=True),
        sa.Column("mapping", sa.Text(), primary_key=True),
        sa.Column("direction", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "worker_group"),
        *_columns(sa.BigInteger(), "at_us started_us"),
        *_columns(sa.Text(), "counts"),
        *_columns(sa.BigInteger(), "lag_records", nullable=True),
        *_columns(sa.Text(), "paused_code", nullable=True),
    )


def _create_replay() -> None:
    op.create_table(
        "instep_replay",
        sa.Column("id", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "entry_id failure_id decision"),
        *_columns(sa.Boolean(), "scheduled"),
        *_columns(sa.Text(), "actor"),
        *_columns(sa.BigInteger(), "requested_us"),
        *_columns(sa.BigInteger(), "claimed_us sent_us", nullable=True),
        *_columns(sa.Text(), "verdict", nullable=True),
        *_columns(sa.BigInteger(), "verdict_us", nullable=True),
        *_columns(sa.Text(), "code", nullable=True),
    )
    op.create_index("instep_replay_by_entry", "instep_replay", ["entry_id"])
    op.create_index("instep_replay_settled", "instep_replay", ["verdict_us"])
    _create_partial_index("replay_pending", "replay", ["requested_us"], "verdict IS NULL")


def _create_audit() -> None:
    op.create_table(
        "instep_audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        *_columns(sa.BigInteger(), "at_us"),
        *_columns(sa.Text(), "actor via action what"),
        *_columns(sa.BigInteger(), "count"),
        *_columns(sa.Text(), "outcome"),
    )
    op.create_index("instep_audit_by_time", "instep_audit", ["at_us"])


def _columns(kind: Any, names: str, *, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name in names.split()]


def _create_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        f"instep_{name}",
        f"instep_{table}",
        columns,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
