"""Which topic a position is of: one that was deleted and created again has the same name."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instep_ingest_position", sa.Column("topic_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("instep_ingest_position", "topic_id")
