"""A world whose target app gets broken and mended: what must hold each time is checked in one place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url

from tests.acceptance.program import Program
from tests.acceptance.world import Entry, World, closing_worlds, mapping
from tests.contract.connectors.target import Target

PASSWORD = "hush-1"
OTHER_PASSWORD = "hush-2"
TABLES = (
    "create table customers (number varchar(20) primary key, name varchar(10) not null)",
    "create table orders (id int primary key, total int)",
)
GRANTS = {
    "postgres": (
        "create role {user} login password '{password}'",
        "grant select, insert, update, delete on customers, orders to {user}",
    ),
    "mariadb": (
        "create user {user} identified by '{password}'",
        "grant create temporary tables on {database}.* to {user}",
        "grant select, insert, update, delete on customers to {user}",
        "grant select, insert, update, delete on orders to {user}",
    ),
}
# what ends the connections that the user has now
CUT = {
    "postgres": "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{user}'",
    "mariadb": "kill hard user {user}",
}


class Outages:
    """A running world that writes to an app as a user with no more rights than it needs."""

    def __init__(self, world: World, crm: Target, user: str, worker: Program) -> None:
        self.world, self.crm, self.user, self.worker = world, crm, user, worker
        self._numbers = count(1)

    def do(self, *statements: str) -> None:
        """Run statements as the admin of the app; {user}, {password}, {other} and {database} are filled in."""
        for statement in statements:
            self.crm.execute(fill(statement, self.crm, self.user))

    def cut(self) -> None:
        """End the connections of the user."""
        self.do(CUT[self.crm.dialect])

    def send(self, turn: int, good: int = 20) -> tuple[list[str], str]:
        """Send good customers, one bad one among them, and an order; returns the customers' numbers."""
        goods, bad = [f"c{turn}-{n}" for n in range(good)], f"bad{turn}"
        self.world.put("customers", *({"number": number, "name": "fine"} for number in goods[: good // 2]))
        self.world.put("customers", {"number": bad, "name": "much too long"})
        self.world.put("customers", *({"number": number, "name": "fine"} for number in goods[good // 2 :]))
        self.world.put("orders", {"id": turn, "total": turn})
        return goods, bad

    def app_entry(self) -> Entry:
        """The one entry that says that the app is broken, or was."""
        return self.world.entry("crm", "*")

    def records(self) -> set[str]:
        """The records that have an entry."""
        return {str(entry["record_id"]) for entry in self.world.entries("--mapping", "customers")}

    def applied(self, numbers: list[str]) -> bool:
        """Whether all these customers are in the target."""
        found = {number for (number,) in self.crm.rows("select number from customers")}
        return set(numbers) <= found

    def survive(
        self,
        break_it: Callable[[], None],
        mend_it: Callable[[], None],
        *codes: str,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Break the app, send changes, mend it: paused, one app failure, nothing a record, nothing lost."""
        world, known = self.world, self.records()
        assigned, said = self.worker.log.count("partitions assigned"), len(self.worker.log)
        turn = next(self._numbers)
        break_it()
        try:
            goods, bad = self.send(turn)
            world.until(lambda: self._is_logged(said, codes), what=f"a pause, for {' or '.join(codes)}")
            world.until(lambda: self.is_told(codes), what=f"one app failure, {' or '.join(codes)}")
            meanwhile()
            assert world.paused(program=self.worker)
            assert self.records() == known, "a record was reported while the app was broken"
        finally:
            mend_it()
        world.settle()
        assert self.applied(goods)
        assert self.crm.rows(f"select total from orders where id = {turn}") == [(turn,)]
        assert self.records() == known | {bad}
        world.until(lambda: self.app_entry()["state"] == "resolved", what="the app's entry closes")
        assert self.app_entry()["resolved_by"] == "released"
        assert not world.paused(program=self.worker)
        assert "hush" not in world.logs()
        assert "Traceback" not in world.logs()
        assert self.worker.log.count("partitions assigned") == assigned, "the worker left its group"

    def _is_logged(self, since: int, codes: tuple[str, ...]) -> bool:
        return any(f'"code": "{code}"' in self.worker.log[since:] for code in codes)

    def is_told(self, codes: tuple[str, ...]) -> bool:
        """Whether the app has an open entry with one of these codes."""
        told = [entry for entry in self.world.entries("--mapping", "*") if entry["record_id"] == "crm"]
        return [(entry["state"], entry["code"] in codes) for entry in told] == [("open", True)]


def fill(statement: str, crm: Target, user: str) -> str:
    """A statement with its names filled in."""
    words = {"{user}": user, "{password}": PASSWORD, "{other}": OTHER_PASSWORD}
    for word, value in {**words, "{database}": str(make_url(crm.url).database)}.items():
        statement = statement.replace(word, value)
    return statement


@contextmanager
def running_outages(folder: Path, bootstrap: str, crm: Target) -> Iterator[Outages]:
    """A running world that has applied something already."""
    user = f"sync_{uuid4().hex[:8]}"
    crm.execute(*TABLES, *(fill(statement, crm, user) for statement in GRANTS[crm.dialect]))
    url = make_url(crm.url).set(username=user, password=PASSWORD).render_as_string(hide_password=False)
    with closing_worlds(folder, bootstrap) as make:
        mappings = {"customers": mapping("customers", "number", fields=["name"]), "orders": mapping("orders")}
        # longer than a server takes to see a deadlock
        app = {"url": url, "options": {"lock_timeout_s": 3}}
        # a worker that stops to poll for longer than this falls out of its group
        client = {"session_timeout_ms": 6000, "max_poll_interval_ms": 8000}
        world = make(mappings, {"crm": app}, kafka={"client": client})
        worker = world.start()
        world.put("customers", {"number": "first", "name": "fine"})
        world.settle()
        yield Outages(world, crm, user, worker)
    if crm.dialect == "postgres":
        crm.execute(f"drop owned by {user}", f"drop role {user}")
    else:
        crm.execute(f"drop user {user}")
