"""Who did what to the entries. No values and no texts of errors."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert

from sink.store.rows import clean
from sink.store.tables import audit

DONE = "done"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Deed:
    """One action: `via` says through what (cli, retention), `what` on what, `count` on how many entries,
    `outcome` is DONE or REFUSED.
    """

    actor: str
    via: str
    action: str
    what: str
    count: int
    outcome: str


def record(connection: Connection, deed: Deed, now_us: int) -> None:
    """Write an action down."""
    connection.execute(
        insert(audit).values(
            at_us=now_us,
            actor=clean(deed.actor),
            via=deed.via,
            action=deed.action,
            what=clean(deed.what),
            count=deed.count,
            outcome=deed.outcome,
        )
    )
