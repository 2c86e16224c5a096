"""One entry by its id."""

from sqlalchemy import Connection

from sink.store.entries import Entry, Filter, read_page
from sink.web.problem import not_found


def find_entry(connection: Connection, entry_id: str) -> Entry:
    """Return an entry; raises the problem that there is none."""
    found = read_page(connection, Filter(ids=(entry_id,)), limit=1)
    if not found:
        raise not_found("entry")
    return found[0]
