"""Messages in quarantine by their keys: whether a record has one is asked with each batch of events."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NAME = "instep_quarantine_by_key"


def upgrade() -> None:
    op.create_index(_NAME, "instep_quarantine", ["key"], postgresql_using="hash")


def downgrade() -> None:
    op.drop_index(_NAME, "instep_quarantine")
