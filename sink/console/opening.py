"""The store as a command opens it: there, and with tables of the right version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbing.database import unreachable_reason
from plumbing.unreachable import UnreachableError
from schemas.config.model import Config
from sink.desk.selection import WrongUse
from sink.store.migrate import upgrade, versions
from sink.store.store import Store, StoreAway, open_store


@contextmanager
def opened(config: Config) -> Iterator[Store]:
    """The store of a configuration; raises UnreachableError when it is away, WrongUse when its tables are of another version."""
    store = open_store(config.sink.store.url)
    file = store.engine.url.database or ""
    if store.engine.dialect.name == "sqlite" and not Path(file).exists():
        raise UnreachableError(
            f"there is no sink store at {file}: the sink has not run yet, or with a configuration that names another file"
        )
    try:
        _check_version(store)
        yield store
    except StoreAway as error:
        raise UnreachableError(
            f"the sink's database cannot be reached: {unreachable_reason(error)}"
        ) from None
    finally:
        store.close()


@contextmanager
def prepared(config: Config) -> Iterator[Store]:
    """The store as `opened` has it, with its tables made where there are none: for what is done before the sink's first start."""
    store = open_store(config.sink.store.url)
    try:
        if versions(store.engine)[0] is None:
            upgrade(store.engine)
    except StoreAway as error:
        raise UnreachableError(
            f"the sink's database cannot be reached: {unreachable_reason(error)}"
        ) from None
    finally:
        store.close()
    with opened(config) as ready:
        yield ready


def _check_version(store: Store) -> None:
    present, needed = versions(store.engine)
    if present is None:
        raise WrongUse(
            "the sink's database has no tables yet; start `instep sink`, or run `instep db upgrade`"
        )
    if present != needed:
        raise WrongUse(
            f"the sink's database has tables of version {present}, this program needs {needed}; "
            "run `instep db upgrade`, or use the program that the sink runs"
        )
