"""Messages are swept in the order of their ids: nothing looks for them by their age any more."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAME = "instep_payload_by_touch"


def upgrade() -> None:
    op.drop_index(_NAME, "instep_payload")


def downgrade() -> None:
    op.create_index(_NAME, "instep_payload", ["touched_us"])
