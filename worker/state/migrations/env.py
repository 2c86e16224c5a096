"""Alembic's environment: runs the migrations on the connection that plumbing.migration hands over."""

from alembic import context

from worker.state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
