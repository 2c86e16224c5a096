"""What the tests of the page have in the store: entries with changes that can be read, and a look at them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from schemas.catalogue import catalogue
from schemas.events import OriginalRecord, SyncFailed, SyncProgress
from sink.store.store import Store
from tests.contract.stored import told
from tests.sink_events import failed, progress

SOURCE = {
    "version": "3.3.1.Final",
    "connector": "postgresql",
    "name": "erp",
    "ts_ms": 1,
    "db": "d",
    "table": "t",
}
BEFORE = {"number": "C001", "name": "Old & Sons", "city": "Roma", "credit_limit": 100}
AFTER = {**BEFORE, "name": "Handelsmaatschappij Van der Meulen", "credit_limit": 250}


def original(before: Any = BEFORE, after: Any = AFTER, op: str = "u") -> OriginalRecord:
    """A change as Debezium sends it."""
    value = {"before": before, "after": after, "source": SOURCE, "op": op, "ts_ms": 1}
    return OriginalRecord(b"C001", orjson.dumps(value), (("h", b"1"),))


def failure(record: str = "C001", offset: int = 0, code: str = "too_long", **changes: Any) -> SyncFailed:
    """A failure of a moment ago, of a code of the catalogue."""
    known = catalogue().get(code, catalogue()["too_long"])
    parameters = changes.pop("parameters", {"field": "name", "limit": "50"})
    moment = changes.pop("at", datetime.now(UTC) - timedelta(minutes=5))
    event = replace(
        failed(record, offset),
        code=code,
        category=known.category,
        scope=known.scope,
        parameters=parameters,
        message=known.say(parameters),
        first_failed_at=moment,
        failed_at=moment,
        original=original(),
    )
    return replace(event, **changes)


def heard(worker: str = "w1", **changes: Any) -> SyncProgress:
    """What a worker said a moment ago."""
    now = datetime.now(UTC)
    return replace(progress(worker), at=now, started_at=now - timedelta(hours=1), **changes)


def many(store: Store, number: int, **changes: Any) -> None:
    """So many failures, of one record each, the last one the latest."""
    start = datetime.now(UTC) - timedelta(hours=1)
    told(
        store,
        *(failure(f"C{i:03d}", i, at=start + timedelta(seconds=i), **changes) for i in range(number)),
    )
