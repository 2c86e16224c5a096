"""Who did what to the entries. No values and no texts of errors."""

from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, insert, select, update

from sink.store.rows import clean
from sink.store.tables import audit

DONE = "done"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Deed:
    """One action: `via` says through what (cli, api, page, retention), `what` on what, `count` on how many entries,
    `outcome` is DONE or REFUSED.
    """

    actor: str
    via: str
    action: str
    what: str
    count: int
    outcome: str


def record(connection: Connection, deed: Deed, now_us: int) -> int:
    """Write an action down; returns the id under which it stands."""
    written = insert(audit).values(
        at_us=now_us,
        actor=clean(deed.actor),
        via=deed.via,
        action=deed.action,
        what=clean(deed.what),
        count=deed.count,
        outcome=deed.outcome,
    )
    return int(connection.execute(written.returning(audit.c.id)).scalar_one())


def add(connection: Connection, noted_id: int, count: int) -> None:
    """Count more entries for an action that goes on, in the transaction that does it."""
    connection.execute(
        update(audit).where(audit.c.id == noted_id).values({"count": audit.c["count"] + count})
    )


@dataclass(frozen=True, slots=True)
class Noted:
    """An action as it was written down; `id` grows with time."""

    id: int
    at_us: int
    deed: Deed


def read_audit(
    connection: Connection,
    after: int | None,
    limit: int,
    actor: str | None = None,
    action: str | None = None,
) -> list[Noted]:
    """Return what was done, the latest first, of those older than the one with the id `after`."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(audit.c.id < after)
    if actor is not None:
        query = query.where(audit.c.actor == clean(actor))
    if action is not None:
        query = query.where(audit.c.action == clean(action))
    return [_noted(row) for row in connection.execute(query).mappings()]


def _noted(row: RowMapping) -> Noted:
    deed = Deed(row["actor"], row["via"], row["action"], row["what"], row["count"], row["outcome"])
    return Noted(row["id"], row["at_us"], deed)
