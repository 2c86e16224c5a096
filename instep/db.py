"""`instep db …`."""

import typer

from instep.configuration import DEFAULT_FILE, ConfigFile, load
from instep.exit import CODES_HELP
from instep.group import new_group

app = new_group("Look after the databases of worker and sink.")


@app.callback()
def _group() -> None:
    # Without a callback a group of one command would be that command.
    pass


@app.command(epilog=CODES_HELP)
def upgrade(config: ConfigFile = DEFAULT_FILE) -> None:
    """Bring the tables of the worker's state and of the sink's store to this version.

    Worker and sink do the same when they start; this is for those whose processes may not change tables.

    ```
    instep db upgrade -c instep.yaml
    ```
    """
    from sqlalchemy.exc import DBAPIError

    from plumbing.database import open_engine, unreachable_reason
    from plumbing.unreachable import UnreachableError
    from sink.store.migrate import upgrade as upgrade_store
    from worker.state.migrate import upgrade as upgrade_state

    checked = load(config)
    stores = (
        ("worker state", checked.worker.state.url, upgrade_state),
        ("sink store", checked.sink.store.url, upgrade_store),
    )
    for what, url, bring_up in stores:
        engine = open_engine(url)
        try:
            before, after = bring_up(engine)
        except DBAPIError as error:
            raise UnreachableError(f"the {what} cannot be upgraded: {unreachable_reason(error)}") from None
        finally:
            engine.dispose()
        typer.echo(
            f"{what}: {after}, as it was"
            if before == after
            else f"{what}: from {before or 'nothing'} to {after}"
        )
