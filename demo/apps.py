"""The two sample apps, each a SQLite file: an ERP that tells its changes, and a CRM that Instep writes to."""

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

Value = str | int | float | None
Row = Mapping[str, Value]

_ACKNOWLEDGED_WITHIN_S = 10.0


class Erp:
    """The source. What it saves goes to Kafka as Debezium would tell it: JSON with the record before and after."""

    def __init__(self, file: Path, producer: KafkaProducer) -> None:
        self._database = _create(file, "erp.sql")
        self._producer = producer

    def save(self, table: str, *rows: Row) -> None:
        """Insert records, or update those whose number is there; fields that are left out stay as they are."""
        sent = []
        for row in rows:
            before = self._find(table, row["number"])
            after = {**(before or {}), **row}
            names, marks = ", ".join(after), ", ".join("?" * len(after))
            self._database.execute(
                f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608  names of ours
                tuple(after.values()),
            )
            op = "c" if before is None else "u"
            sent.append(self._tell(table, row["number"], op, before, self._find(table, row["number"])))
        for future in sent:
            future.get(_ACKNOWLEDGED_WITHIN_S)

    def delete(self, table: str, number: str) -> None:
        """Delete a record; the change is followed by a message without value, as Debezium's are."""
        before = self._find(table, number)
        self._database.execute(f"DELETE FROM {table} WHERE number = ?", (number,))  # noqa: S608  name of ours
        self._tell(table, number, "d", before, None).get(_ACKNOWLEDGED_WITHIN_S)
        self._send(table, number, None).get(_ACKNOWLEDGED_WITHIN_S)

    def send_raw(self, table: str, number: str, value: bytes) -> None:
        """Put any bytes into a table's topic, as some other program might by mistake."""
        self._send(table, number, value).get(_ACKNOWLEDGED_WITHIN_S)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _find(self, table: str, number: Value) -> dict[str, Value] | None:
        return _find(self._database, table, "number", number)

    # Any: a future of the client, which ships no types.
    def _tell(self, table: str, number: Value, op: str, before: Row | None, after: Row | None) -> Any:
        now_ms = int(time.time() * 1000)
        change = {
            "before": before,
            "after": after,
            "source": {"connector": "demo", "name": "erp", "table": table, "ts_ms": now_ms},
            "op": op,
            "ts_ms": now_ms,
        }
        return self._send(table, number, json.dumps(change).encode())

    def _send(self, table: str, number: Value, value: bytes | None) -> Any:
        return self._producer.send(f"erp.{table}", value, key=json.dumps({"number": number}).encode())


class Crm:
    """The target, as its own users and its administrator get at it: through its database."""

    def __init__(self, file: Path) -> None:
        self._database = _create(file, "crm.sql")

    def find(self, number: str) -> dict[str, Value] | None:
        """Return an account (C…) or an order (O…), None if there is none."""
        if number.startswith("C"):
            return _find(self._database, "account", "account_number", number)
        return _find(self._database, "sales_order", "order_number", number)

    def allow_credit(self, highest: int) -> None:
        """Change the credit rule."""
        self._database.execute("UPDATE credit_rule SET highest = ?", (highest,))

    def lock(self) -> None:
        """Keep everybody else from writing."""
        self._database.execute("BEGIN EXCLUSIVE")

    def unlock(self) -> None:
        """Let the others write again."""
        self._database.execute("ROLLBACK")

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _create(file: Path, script: str) -> sqlite3.Connection:
    with closing(sqlite3.connect(file)) as created:
        # Readers and the writer then leave each other alone.
        created.execute("PRAGMA journal_mode = WAL")
        created.executescript(files("demo").joinpath(script).read_text())
    return sqlite3.connect(file, isolation_level=None)


def _find(database: sqlite3.Connection, table: str, key: str, number: Value) -> dict[str, Value] | None:
    found = database.execute(f"SELECT * FROM {table} WHERE {key} = ?", (number,))  # noqa: S608  names of ours
    names = [column[0] for column in found.description]
    row = found.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))
