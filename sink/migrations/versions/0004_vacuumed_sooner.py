"""On PostgreSQL, tables that lose or change many rows are vacuumed sooner: a purge gives its space back to what comes next.

By default a fifth of a table has to be dead first, which is a million of five million entries.
Source: https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("entry", "payload", "replay", "replay_job_item", "tally_change")
_SETTINGS = {"autovacuum_vacuum_scale_factor": "0.02", "autovacuum_vacuum_threshold": "1000"}


def upgrade() -> None:
    if _is_postgresql():
        settings = ", ".join(f"{name} = {value}" for name, value in _SETTINGS.items())
        for table in _TABLES:
            op.execute(f"ALTER TABLE instep_{table} SET ({settings})")


def downgrade() -> None:
    if _is_postgresql():
        for table in _TABLES:
            op.execute(f"ALTER TABLE instep_{table} RESET ({', '.join(_SETTINGS)})")


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
