"""Groups and counts, replay jobs, tokens and sessions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = (
    "idempotent_action session token replay_job_item replay_job progress_slot rate tally_change tally group"
)


_ENTRY_COLUMNS = (
    ("group_id", sa.Text(), ""),
    ("group_version", sa.Integer(), "0"),
    ("failed_replays", sa.Integer(), "0"),
    ("origin", sa.Text(), "instep"),
)


def upgrade() -> None:
    for name, kind, default in _ENTRY_COLUMNS:
        op.add_column("instep_entry", sa.Column(name, kind, nullable=False, server_default=default))
    _create_groups()
    _create_counts()
    _create_jobs()
    _create_access()


def downgrade() -> None:
    op.drop_index("instep_replay_unsent", "instep_replay")
    for name in _TABLES.split():
        op.drop_table(f"instep_{name}")
    for name, _, _ in _ENTRY_COLUMNS:
        op.drop_column("instep_entry", name)


def _create_groups() -> None:
    op.create_table(
        "instep_group",
        sa.Column("id", sa.Text(), primary_key=True),
        *_columns(sa.Integer(), "version"),
        *_columns(sa.Text(), "mapping direction category code message"),
        *_columns(sa.BigInteger(), "row_version first_seen_us last_seen_us"),
        *_columns(sa.BigInteger(), "resolved_us regressed_us muted_until_us muted_up_to", nullable=True),
        *_columns(sa.Text(), "muted_by", nullable=True),
    )
    op.create_index("instep_group_by_time", "instep_group", ["last_seen_us", "id"])


def _create_counts() -> None:
    names = "mapping category code state group_id"
    op.create_table(
        "instep_tally",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in names.split()),
        *_columns(sa.BigInteger(), "entries"),
    )
    op.create_table(
        "instep_tally_change",
        sa.Column("id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), primary_key=True),
        *_columns(sa.Text(), names),
        *_columns(sa.BigInteger(), "entries"),
    )
    op.create_table(
        "instep_rate",
        sa.Column("slot_us", sa.BigInteger(), primary_key=True),
        sa.Column("mapping", sa.Text(), primary_key=True),
        sa.Column("sink", sa.Text(), primary_key=True),
        *_columns(sa.BigInteger(), "failed resolved"),
    )
    op.create_table(
        "instep_progress_slot",
        sa.Column("slot_us", sa.BigInteger(), primary_key=True),
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("worker", "mapping", "direction")),
        *_columns(sa.BigInteger(), "started_us"),
        *_columns(sa.Text(), "counts"),
    )


def _create_jobs() -> None:
    op.create_table(
        "instep_replay_job",
        sa.Column("id", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "actor via what decision"),
        *_columns(sa.Text(), "corrections corrected_fields", nullable=True),
        *_columns(sa.Integer(), "rate_per_s", nullable=True),
        *_columns(sa.Integer(), "canaries"),
        *_columns(sa.Boolean(), "named"),
        *_columns(sa.Text(), "state"),
        *_columns(sa.Text(), "note", nullable=True),
        *_columns(sa.BigInteger(), "total handled"),
        *_columns(sa.Text(), "counts"),
        *_columns(sa.BigInteger(), "created_us"),
        *_columns(sa.BigInteger(), "finished_us", nullable=True),
        *_columns(sa.BigInteger(), "row_version"),
        *_columns(sa.Text(), "leased_by", nullable=True),
        *_columns(sa.BigInteger(), "leased_until_us", nullable=True),
    )
    op.create_index("instep_replay_job_by_time", "instep_replay_job", ["created_us", "id"])
    _create_partial_index(
        "instep_replay_job_unfinished", "instep_replay_job", "created_us", "finished_us IS NULL"
    )
    _create_partial_index(
        "instep_replay_unsent", "instep_replay", "requested_us", "verdict IS NULL AND sent_us IS NULL"
    )
    op.create_table(
        "instep_replay_job_item",
        sa.Column("job_id", sa.Text(), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True),
        *_columns(sa.Text(), "entry_id"),
        *_columns(sa.Text(), "replay_id refusal", nullable=True),
    )
    op.create_index("instep_replay_job_item_by_replay", "instep_replay_job_item", ["replay_id"])
    op.create_index("instep_replay_job_item_by_entry", "instep_replay_job_item", ["entry_id"])


def _create_partial_index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _create_access() -> None:
    op.create_table(
        "instep_token",
        sa.Column("id", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "name role"),
        sa.Column("hash", sa.Text(), nullable=False, unique=True),
        *_columns(sa.BigInteger(), "created_us"),
        *_columns(sa.Text(), "created_by"),
        *_columns(sa.BigInteger(), "expires_us revoked_us used_us", nullable=True),
    )
    op.create_table(
        "instep_session",
        sa.Column("hash", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "token_id csrf"),
        *_columns(sa.BigInteger(), "created_us expires_us visit_us"),
        *_columns(sa.BigInteger(), "last_visit_us", nullable=True),
        *_columns(sa.BigInteger(), "seen_us"),
    )
    op.create_table(
        "instep_idempotent_action",
        sa.Column("actor", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "request_hash"),
        *_columns(sa.Integer(), "status", nullable=True),
        *_columns(sa.LargeBinary(), "answer", nullable=True),
        *_columns(sa.BigInteger(), "at_us"),
    )


def _columns(kind: Any, names: str, *, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name in names.split()]
