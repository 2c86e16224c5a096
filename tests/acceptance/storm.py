"""A storm: workers and sink killed at random moments under load, and what must be true when it is over.

Each kind of record has a fate of its own. Customers are good all the time, hopeless, repaired by a later change, or
refused by the app until a person has it repaired and replays them; orders may come before their customer and heal by
themselves; changes of the ledger wait in order behind one that was refused.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from threading import Event
from typing import Any

from schemas.events import SyncFailed
from tests.acceptance.program import Program
from tests.acceptance.world import Entry, MakeWorld, World, mapping
from tests.contract.connectors.target import Target

TABLES = (
    "create table customers (id int primary key, name varchar(20) not null, version int not null)",
    "create table orders (id int primary key, customer_id int not null references customers, version int not null)",
    "create table ledger (id int primary key, version int not null)",
    "create table forbidden (entity text, id int)",
    """create function refuse() returns trigger language plpgsql as $$begin
    perform pg_sleep(0.002);  -- so that a kill finds workers at work
    if exists (select 1 from forbidden f where f.entity = tg_table_name and f.id = new.id) then
        raise exception 'forbidden' using errcode = '23514';
    end if;
    return new;
    end$$""",
    "create trigger refused before insert or update on customers for each row execute function refuse()",
    "create trigger refused before insert or update on ledger for each row execute function refuse()",
)
MAPPINGS = {
    "customers": mapping("customers"),
    "orders": mapping("orders"),
    "ledger": mapping("ledger", order="strict"),
}
WORKERS = 2
REFUSED = "rejected_by_app"
TOO_LONG = "a name of more than twenty characters"
UNDER_WAY = {"waiting", "replaying", "unconfirmed"}
CALMS_WITHIN_S = 150.0

Key = tuple[str, int]


@dataclass(slots=True)
class Storm:
    """One storm over one world; everything random comes from `random`."""

    world: World
    crm: Target
    random: Random
    workers: list[Program] = field(default_factory=list)
    sink: Program | None = None
    expected: dict[Key, int] = field(default_factory=dict)
    hopeless: set[int] = field(default_factory=set)
    repaired_later: list[tuple[float, int]] = field(default_factory=list)
    orphans: list[tuple[float, int]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10**9)))
    kills: Counter[str] = field(default_factory=Counter)
    clock: Event = field(default_factory=Event)

    def rage(self, seconds: float) -> None:
        """Send changes, ask for replays and kill, for so long."""
        self.start()
        until = time.monotonic() + seconds
        kill_at = time.monotonic() + 1
        while time.monotonic() < until:
            self.send()
            if time.monotonic() > kill_at:
                self.kill_one()
                kill_at = time.monotonic() + self.random.choice((0.3, 1.0, 3.0, 7.0))
            if self.random.random() < 0.03:
                self.replay_some()
            self.wait(self.random.random() * 0.2)

    def calm(self) -> None:
        """Repair what can be, and wait until everything is settled."""
        for _, number in self.repaired_later:
            self.put("customers", number, name="fine", version=2)
        for _, number in self.orphans:
            self.put("customers", number, name="late", version=1)
        self.crm.execute("delete from forbidden")
        self.world.settle(timeout_s=CALMS_WITHIN_S)
        self.world.until(self.is_over, timeout_s=CALMS_WITHIN_S, what="no entry is under way or refused")
        self.world.settle(timeout_s=CALMS_WITHIN_S)

    def is_over(self) -> bool:
        """Whether nothing is under way; has replayed what a person would, and what would heal itself later."""
        under_way = [
            each
            for each in self.entries()
            if each["state"] in UNDER_WAY or (each["state"] == "open" and each["code"] != "too_long")
        ]
        ready = [each["id"] for each in under_way if each["state"] != "replaying"]
        if ready:
            self.replay(ready)
        return not under_way

    # what the source does

    def send(self) -> None:
        """Send some changes of every kind."""
        now = time.monotonic()
        for number in range(20):
            self.put("customers", -self.random.randint(1, 200), name=f"round {number}")
            self.put("ledger", -self.random.randint(1, 200))
        self.put("orders", -self.random.randint(1, 20), customer_id=0)
        if self.random.random() < 0.5:
            self.delete(-self.random.randint(1, 200))
        match self.random.choice(("hopeless", "later", "refused", "orphan", "ledger")):
            case "hopeless":
                number = next(self.numbers)
                self.send_bad(number)
                self.hopeless.add(number)
            case "later":
                number = next(self.numbers)
                self.send_bad(number)
                self.repaired_later.append((now + 4, number))
            case "refused":
                number = self.forbid("customers")
                self.put("customers", number, name="refused", version=1)
            case "orphan":
                number = next(self.numbers)
                self.put("orders", number, customer_id=number, version=1)
                self.orphans.append((now + 4, number))
            case _:
                number = self.forbid("ledger")
                for version in range(1, self.random.randint(2, 5)):
                    self.put("ledger", number, version=version)
        while self.repaired_later and self.repaired_later[0][0] < now:
            self.put("customers", self.repaired_later.pop(0)[1], name="fine", version=2)
        while self.orphans and self.orphans[0][0] < now:
            self.put("customers", self.orphans.pop(0)[1], name="late", version=1)

    def put(self, entity: str, number: int, *, version: int = 0, **more: Any) -> None:
        """Send a change that must be in the target in the end, unless another one follows."""
        key = (entity, number)
        version = version or self.expected.get(key, 0) + 1000
        self.expected[key] = version
        self.world.put(entity, {"id": number, "version": version, **more})

    def delete(self, number: int) -> None:
        """Delete a customer."""
        if self.expected.pop(("customers", number), None) is not None:
            self.world.delete("customers", {"id": number})

    def send_bad(self, number: int) -> None:
        """Send a customer that the table does not take."""
        self.world.put("customers", {"id": number, "name": TOO_LONG, "version": 1})

    def forbid(self, entity: str) -> int:
        """A new record that the app refuses for now."""
        number = next(self.numbers)
        self.crm.execute(f"insert into forbidden values ('{entity}', {number})")
        return number

    # what persons do

    def replay_some(self) -> None:
        """Have some refused records replayed; some of them repaired before."""
        refused = [each for each in self.entries() if each["state"] == "open" and each["code"] == REFUSED]
        chosen = self.random.sample(refused, min(3, len(refused)))
        for each in chosen:
            if self.random.random() < 0.5:
                entity, record = each["mapping"], int(each["record_id"])
                self.crm.execute(f"delete from forbidden where entity = '{entity}' and id = {record}")
        if chosen:
            self.replay([each["id"] for each in chosen])

    def replay(self, ids: list[str]) -> None:
        """Have entries replayed; one that is closed meanwhile is refused, which is right."""
        self.world.instep("errors", "replay", *ids, codes=(0, 1))

    def entries(self) -> list[Entry]:
        """All entries of records."""
        lines = self.world.instep("errors", "export").splitlines()
        return [each for line in lines if (each := json.loads(line))["mapping"] != "*"]

    # what happens to the programs

    def start(self) -> None:
        """Start everything."""
        self.sink = self.world.start_sink()
        self.workers = [self.world.start_worker(wait=False) for _ in range(WORKERS)]

    def kill_one(self) -> None:
        """Kill a worker or the sink, and start another one, at once or a little later."""
        if self.random.random() < 0.35 and self.sink is not None:
            self.sink.kill()
            self.kills["sink"] += 1
            self.pause()
            self.sink = self.world.start_sink(wait=False)
        else:
            self.workers.pop(self.random.randrange(WORKERS)).kill()
            self.kills["worker"] += 1
            self.pause()
            self.workers.append(self.world.start_worker(wait=False))

    def pause(self) -> None:
        """Let a moment go by, or none."""
        self.wait(self.random.choice((0, 0, 1)) * self.random.random())

    def wait(self, seconds: float) -> None:
        """Let so much time go by; nothing is waited for."""
        self.clock.wait(seconds)

    # what must be true in the end

    def check(self) -> None:
        """Target and source are equal, each failed record has one entry with the right count, nothing is doubled."""
        target = self.target()
        different = {
            key: f"{target.get(key)} instead of {self.expected.get(key)}"
            for key in target.keys() | self.expected.keys()
            if target.get(key) != self.expected.get(key)
        }
        assert not different, f"{different}\n{self.world.logs()}"
        entries = self.entries()
        records = Counter((each["mapping"], each["record_id"]) for each in entries)
        assert max(records.values()) == 1, "a record has two entries"
        still_open = {int(each["record_id"]) for each in entries if each["state"] == "open"}
        assert still_open == self.hopeless
        assert {each["state"] for each in entries} <= {"open", "resolved"}
        self.check_counts(entries)

    def target(self) -> dict[Key, int]:
        """What the app holds."""
        return {
            (name, number): version
            for name in MAPPINGS
            for number, version in self.crm.rows(f"select id, version from {name} where id <> 0")
        }

    def check_counts(self, entries: list[Entry]) -> None:
        """A count is the number of failures told of the record, and that of its tries: the first, and each replay that failed."""
        told: dict[tuple[str, str], set[str]] = {}
        for event in self.world.events():
            if isinstance(event, SyncFailed):
                told.setdefault((event.mapping, event.source.record_id), set()).add(event.failure_id)
        for entry in entries:
            assert entry["count"] == len(told[entry["mapping"], entry["record_id"]]), entry
            if entry["mapping"] == "orders" or entry["code"] == REFUSED:
                shown = json.loads(self.world.instep("errors", "show", entry["id"], "--json"))
                failed = [each for each in shown["replays"] if each["verdict"] == "failed_again"]
                assert entry["count"] == 1 + len(failed), shown
            else:
                assert entry["count"] == 1, entry


def make_storm(make_world: MakeWorld, crm: Target, state: str, store: str, seed: int) -> Storm:
    """A storm about to begin; the state store and the sink's store are PostgreSQL databases."""
    crm.execute(*TABLES, "insert into customers values (0, 'always there', 0)")
    world = make_world(
        MAPPINGS,
        crm,
        worker={"state": {"url": state}, "batch": 50},
        sink={"store": {"url": store}},
        partitions=4,
    )
    return Storm(world, crm, Random(seed))
