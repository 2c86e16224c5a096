"""Real captures of Debezium: sent to topics as they were, and what their tables hold in the end."""

import base64
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.world import World
from tests.contract.connectors.target import Target

DATA = Path("tests/data/debezium")
CAPTURES = {"plain": "debezium-json", "schemas": "debezium-json-schema", "avro": "debezium-avro"}
TABLES = ("customers", "orders", "order_lines", "nopk")
DDL = {
    "postgres": (
        """create table customers (
            number text primary key, name text not null, email text, city text, country char(2),
            credit_limit numeric(12, 2), currency char(3), blocked bool not null, salesperson text, tags text[],
            extra jsonb, born date, seen timestamptz, opened timestamp, hours interval, uid uuid, price real,
            ratio double precision, small smallint, big bigint, t time, vat text
        )""",
        """create table orders (
            id bigint primary key, customer text not null references customers, placed_at timestamptz not null,
            total numeric(14, 4), currency char(3), status text
        )""",
        """create table order_lines (
            order_id bigint references orders, line int, item text, qty numeric, price numeric(10, 2),
            primary key (order_id, line)
        )""",
        "create table nopk (a int primary key, b text)",
    ),
    "mariadb": (
        """create table customers (
            number varchar(50) collate utf8mb4_bin primary key, name longtext not null, email varchar(200),
            city varchar(200), country char(2), credit_limit decimal(12, 2), currency char(3), blocked bool not null,
            salesperson text, tags json, extra longtext, born date, seen datetime(6), opened datetime(6),
            hours varchar(60), uid char(36), price float, ratio double, small smallint, big bigint, t time(6), vat text
        )""",
        """create table orders (
            id bigint primary key, customer varchar(50) collate utf8mb4_bin not null, placed_at datetime(6) not null, total decimal(14, 4), currency char(3), status text
        )""",
        """create table order_lines (
            order_id bigint references orders (id), line int, item text, qty decimal(65, 10), price decimal(10, 2),
            primary key (order_id, line)
        )""",
        "create table nopk (a int primary key, b text)",
    ),
}
# Records that MariaDB cannot hold: one lives in infinity and before Christ; NaN is told by the plain capture alone.
UNHELD = {
    ("mariadb", "plain"): ("C003", "C007"),
    ("mariadb", "schemas"): ("C007",),
    ("mariadb", "avro"): ("C007",),
}


def send_capture(world: World, capture: str, ids: Mapping[int, int]) -> None:
    """Send a capture to the topics `<capture>-<table>`; `ids` are the schemas' new ids by their old ones."""
    for line in (DATA / f"{CAPTURES[capture]}.jsonl").read_text().splitlines():
        record = json.loads(line)
        table = record["topic"].rsplit(".", 1)[1]
        headers = [(name, value.encode()) for name, value in record["headers"] if value is not None]
        world.send(
            f"{capture}-{table}",
            as_bytes(record["key"], capture, ids),
            as_bytes(record["value"], capture, ids),
            partition=record["partition"],
            headers=headers,
        )


def as_bytes(text: str | None, capture: str, ids: Mapping[int, int]) -> bytes | None:
    """What stood in the topic; with Avro, under the schema's new id."""
    if text is None or capture != "avro":
        return None if text is None else text.encode()
    data = base64.b64decode(text)
    return b"\x00" + ids[int.from_bytes(data[1:5], "big")].to_bytes(4, "big") + data[5:]


def register_all(register: Callable[[str, str], int], subject: str) -> dict[int, int]:
    """Register the captured schemas; returns their new ids by their old ones."""
    schemas = json.loads((DATA / "debezium-avro-schemas.json").read_text())
    return {int(old): register(f"{subject}-{old}", json.dumps(schema)) for old, schema in schemas.items()}


def expected(table: str, dialect: str, capture: str) -> list[dict[str, Any]]:
    """The rows that the source had in the end, but for those that a target cannot hold."""
    unheld = UNHELD.get((dialect, capture), ())
    rows = []
    with (DATA / f"expected_{table}.csv").open() as file:
        for read in csv.DictReader(file):
            row = {name: None if value == "\\N" else value for name, value in read.items()}
            if row.get("credit_limit") == "NaN" and capture != "plain":
                row["credit_limit"] = None  # as binary decimals have no NaN, Debezium sends null
            if row.get("number") not in unheld:
                rows.append(row if dialect == "postgres" else in_mariadb(row, capture))
    return rows


def in_mariadb(row: Mapping[str, Any], capture: str) -> dict[str, Any]:
    """The same row in MariaDB's words: instants in UTC; an interval as text, a bare number where no schema names it."""
    changed = dict(row)
    for name in ("seen", "placed_at"):
        if row.get(name) is not None:
            changed[name] = row[name].removesuffix("+00")
    if capture == "plain" and row.get("hours") is not None:
        changed["hours"] = "93784000000"
    if "blocked" in row:
        changed["blocked"] = int(row["blocked"] == "t")
    return changed


def differences(crm: Target, table: str, capture: str) -> list[str]:
    """How a table differs from what it should be: rows too many, rows that are missing; the database compares."""
    rows = expected(table, crm.dialect, capture)
    names = list(rows[0])
    columns = ", ".join(names)
    return list(_compare(crm, table, columns, [[row[name] for name in names] for row in rows]))


def _compare(crm: Target, table: str, columns: str, rows: list[list[Any]]) -> Iterator[str]:
    connection = crm.connect()
    try:
        cursor = connection.cursor()
        like = "(like {})" if crm.dialect == "postgres" else "like {}"
        cursor.execute(f"create table should_be {like.format(table)}")
        places = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"insert into should_be ({columns}) values ({places})", rows)
        for what, one, other in (("missing", "should_be", table), ("too many", table, "should_be")):
            cursor.execute(f"select {columns} from {one} except select {columns} from {other}")
            yield from (f"{what}: {row}" for row in cursor.fetchall())
        cursor.execute("drop table should_be")
    finally:
        connection.close()
