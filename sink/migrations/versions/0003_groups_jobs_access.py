"""Groups and counts, replay jobs, tokens and sessions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = "idempotent_action session token replay_job_item replay_job progress_slot group_rate rate tally_change tally group"
_RELEVANT = "state NOT IN ('resolved', 'discarded')"
_COUNTED = "mapping, category, code, state, group_id"


_ENTRY_COLUMNS = (
    ("group_id", sa.Text(), ""),
    ("group_version", sa.Integer(), "0"),
    ("failed_replays", sa.Integer(), "0"),
    ("origin", sa.Text(), "instep"),
)


def upgrade() -> None:
    for name, kind, default in _ENTRY_COLUMNS:
        op.add_column("instep_entry", sa.Column(name, kind, nullable=False, server_default=default))
    _create_entry_indexes()
    _create_groups()
    _create_counts()
    _create_rates()
    _count_entries()
    _create_jobs()
    _create_access()


def downgrade() -> None:
    _drop_triggers()
    op.drop_index("instep_replay_unsent", "instep_replay")
    for name in _TABLES.split():
        op.drop_table(f"instep_{name}")
    for name in ("by_group", "ungrouped", "relevant_by_time", "oldest", "by_record_id"):
        op.drop_index(f"instep_entry_{name}", "instep_entry")
    op.create_index("instep_entry_by_record", "instep_entry", ["mapping", "record_id"])
    op.create_index(
        "instep_entry_relevant",
        "instep_entry",
        ["mapping", "category", "state", "first_failed_us"],
        **_where(_RELEVANT),
    )
    for name, _, _ in _ENTRY_COLUMNS:
        op.drop_column("instep_entry", name)


def _create_entry_indexes() -> None:
    op.drop_index("instep_entry_by_record", "instep_entry")
    op.drop_index("instep_entry_relevant", "instep_entry")
    op.create_index(
        "instep_entry_by_record_id",
        "instep_entry",
        ["record_id", "mapping"],
        postgresql_ops={"record_id": "text_pattern_ops", "mapping": "text_ops"},
    )
    indexes = (
        ("by_group", ["group_id", "state", "last_failed_us", "id"], None),
        ("relevant_by_time", ["last_failed_us", "id"], _RELEVANT),
        ("oldest", ["mapping", "first_failed_us"], _RELEVANT),
        ("ungrouped", ["id"], "group_version < 1"),
    )
    for name, columns, condition in indexes:
        op.create_index(f"instep_entry_{name}", "instep_entry", columns, **_where(condition))


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
    names = _COUNTED.replace(",", "")
    op.create_table(
        "instep_tally",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in names.split()),
        *_columns(sa.BigInteger(), "entries"),
    )
    op.create_index("instep_tally_by_group", "instep_tally", ["group_id"])
    op.create_table(
        "instep_tally_change",
        sa.Column("id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), primary_key=True),
        *_columns(sa.Text(), names),
        *_columns(sa.BigInteger(), "entries"),
    )


def _create_rates() -> None:
    op.create_table(
        "instep_rate",
        sa.Column("slot_us", sa.BigInteger(), primary_key=True),
        sa.Column("mapping", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), primary_key=True),
        *_columns(sa.BigInteger(), "failed resolved"),
    )
    op.create_table(
        "instep_group_rate",
        sa.Column("group_id", sa.Text(), primary_key=True),
        sa.Column("slot_us", sa.BigInteger(), primary_key=True),
        sa.Column("source", sa.Text(), primary_key=True),
        *_columns(sa.BigInteger(), "failed"),
    )
    op.create_table(
        "instep_progress_slot",
        sa.Column("slot_us", sa.BigInteger(), primary_key=True),
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("worker", "mapping", "direction")),
        sa.Column("started_us", sa.BigInteger(), primary_key=True),
        *_columns(sa.Text(), "counts"),
    )


def _count_entries() -> None:
    """Let the database count: first what is there, then each change, by triggers."""
    op.execute(
        f"INSERT INTO instep_tally ({_COUNTED}, entries) "  # noqa: S608  our own names
        f"SELECT {_COUNTED}, count(*) FROM instep_entry GROUP BY {_COUNTED}"
    )
    statements = _postgresql_triggers() if _is_postgresql() else _sqlite_triggers()
    for statement in statements:
        op.execute(statement)


def _postgresql_triggers() -> list[str]:
    """Once a statement, whatever number of rows it changes; COPY is an INSERT."""
    rows = {
        "insert": "SELECT *, 1 AS n FROM after_rows",
        "update": "SELECT *, 1 AS n FROM after_rows UNION ALL SELECT *, -1 FROM before_rows",
        "delete": "SELECT *, -1 AS n FROM before_rows",
    }
    tables = {
        "insert": "NEW TABLE AS after_rows",
        "update": "OLD TABLE AS before_rows NEW TABLE AS after_rows",
        "delete": "OLD TABLE AS before_rows",
    }
    statements = []
    for event, select in rows.items():
        name = f"instep_count_{event}"
        counted = (
            f"SELECT {_COUNTED}, sum(n) FROM ({select}) AS changed GROUP BY {_COUNTED} HAVING sum(n) <> 0"  # noqa: S608  our own names
        )
        noted = f"INSERT INTO instep_tally_change ({_COUNTED}, entries) {counted}"
        body = f"$$ BEGIN {noted}; RETURN NULL; END $$"
        trigger = f"AFTER {event.upper()} ON instep_entry REFERENCING {tables[event]} FOR EACH STATEMENT"
        statements.append(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS {body}")
        statements.append(f"CREATE TRIGGER {name} {trigger} EXECUTE FUNCTION {name}()")
    return statements


def _sqlite_triggers() -> list[str]:
    names = _COUNTED.split(", ")
    new, old = (", ".join(f"{row}.{name}" for name in names) for row in ("NEW", "OLD"))
    more = (
        f"INSERT INTO instep_tally ({_COUNTED}, entries) VALUES ({new}, 1) "  # noqa: S608  our own names
        f"ON CONFLICT ({_COUNTED}) DO UPDATE SET entries = entries + 1;"
    )
    fewer = f"UPDATE instep_tally SET entries = entries - 1 WHERE ({_COUNTED}) = ({old});"  # noqa: S608  our own names
    moved = f"AFTER UPDATE OF {_COUNTED} ON instep_entry WHEN ({new}) IS NOT ({old})"
    return [
        f"CREATE TRIGGER instep_count_insert AFTER INSERT ON instep_entry BEGIN {more} END",
        f"CREATE TRIGGER instep_count_update {moved} BEGIN {more} {fewer} END",
        f"CREATE TRIGGER instep_count_delete AFTER DELETE ON instep_entry BEGIN {fewer} END",
    ]


def _drop_triggers() -> None:
    for event in ("insert", "update", "delete"):
        if _is_postgresql():
            op.execute(f"DROP FUNCTION instep_count_{event}() CASCADE")
        else:
            op.execute(f"DROP TRIGGER instep_count_{event}")


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


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _where(condition: str | None) -> dict[str, Any]:
    if condition is None:
        return {}
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _columns(kind: Any, names: str, *, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name in names.split()]
