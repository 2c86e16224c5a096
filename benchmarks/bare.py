"""The bare loop: the best that one writes by hand for one topic and one table, without any promise.

poll → keep the last message of each key in the batch → orjson or fastavro → rows → bulk upsert → commit of the offsets.
2,000 a batch. kafka-python, psycopg, PyMySQL and sqlite3 as they come. Runs until SIGTERM:
`python -m benchmarks.bare --bootstrap HOST:PORT --topic T --group G --format json|avro|typed --url SQLALCHEMY_URL`.
"""

import argparse
import base64
import io
import json
import signal
import sqlite3
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import orjson
import psycopg
import pymysql
from kafka import KafkaConsumer
from sqlalchemy import make_url

from benchmarks.changes import COLUMNS
from benchmarks.targets import TABLE

BATCH = 2000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  without a zone, as in the source
_LIST = ", ".join(COLUMNS)
Decode = Callable[[bytes], tuple[Any, ...]]
Upsert = Callable[[Sequence[tuple[Any, ...]]], None]


def json_decoder() -> Decode:
    """Read Debezium's JSON with its schema."""
    decode = base64.b64decode

    def row(value: bytes) -> tuple[Any, ...]:
        after = orjson.loads(value)["payload"]["after"]
        return _row(after, decode(after["credit_limit"]))

    return row


def avro_decoder(registry: str) -> Decode:
    """Read Debezium's Avro: schema from the registry once, logical types left to us (twice as fast)."""
    schemas: dict[bytes, Any] = {}

    def row(value: bytes) -> tuple[Any, ...]:
        schema = schemas.get(value[:5])
        if schema is None:
            with urllib.request.urlopen(
                f"{registry}/schemas/ids/{int.from_bytes(value[1:5], 'big')}"
            ) as answer:
                schema = fastavro.parse_schema(
                    _without_logical_types(json.loads(json.load(answer)["schema"]))
                )
            schemas[value[:5]] = schema
        after: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)["after"]  # type: ignore[call-overload,index]
        return _row(after, after["credit_limit"])

    return row


def _row(after: dict[str, Any], unscaled: bytes) -> tuple[Any, ...]:
    return (
        after["number"],
        after["name"],
        after["email"],
        after["city"],
        Decimal(int.from_bytes(unscaled, "big", signed=True)).scaleb(-2),
        after["blocked"],
        after["visits"],
        _EPOCH + timedelta(microseconds=after["opened"]),
    )


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    return [_without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


def postgres_upsert(url: str) -> Upsert:
    """COPY in binary into a temporary table, then one INSERT … ON CONFLICT."""
    connection = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))
    cursor = connection.cursor()
    cursor.execute(f"create temp table stage (like {TABLE}) on commit delete rows".encode())
    connection.commit()
    copy = f"copy stage ({_LIST}) from stdin (format binary)".encode()
    sets = ", ".join(f"{column} = excluded.{column}" for column in COLUMNS[1:])
    merge = f"insert into {TABLE} ({_LIST}) select {_LIST} from stage on conflict (number) do update set {sets}".encode()
    types = ["varchar", "varchar", "varchar", "varchar", "numeric", "bool", "int4", "timestamp"]

    def upsert(rows: Sequence[tuple[Any, ...]]) -> None:
        with cursor.copy(copy) as stage:
            stage.set_types(types)
            for row in rows:
                stage.write_row(row)
        cursor.execute(merge)
        connection.commit()

    return upsert


def mariadb_upsert(url: str) -> Upsert:
    """INSERT … ON DUPLICATE KEY UPDATE with many rows a statement, which is what PyMySQL makes of executemany."""
    at = make_url(url)
    connection = pymysql.connect(
        host=at.host,
        port=at.port or 3306,
        user=at.username,
        password=at.password or "",
        database=at.database,
        charset="utf8mb4",
    )
    cursor = connection.cursor()
    marks = ", ".join(["%s"] * len(COLUMNS))
    sets = ", ".join(f"{column} = values({column})" for column in COLUMNS[1:])
    statement = f"insert into {TABLE} ({_LIST}) values ({marks}) on duplicate key update {sets}"

    def upsert(rows: Sequence[tuple[Any, ...]]) -> None:
        cursor.executemany(statement, rows)
        connection.commit()

    return upsert


def sqlite_upsert(url: str) -> Upsert:
    """INSERT … ON CONFLICT by executemany, write-ahead log, synced at checkpoints."""
    connection = sqlite3.connect(make_url(url).database or "")
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=normal")
    marks = ", ".join(["?"] * len(COLUMNS))
    sets = ", ".join(f"{column} = excluded.{column}" for column in COLUMNS[1:])
    statement = f"insert into {TABLE} ({_LIST}) values ({marks}) on conflict (number) do update set {sets}"

    def upsert(rows: Sequence[tuple[Any, ...]]) -> None:
        connection.executemany(
            statement, [(*row[:4], str(row[4]), *row[5:7], row[7].isoformat(" ")) for row in rows]
        )
        connection.commit()

    return upsert


def loop(consumer: KafkaConsumer, decode: Decode, upsert: Upsert) -> None:
    """Go on until told to stop."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    while not stopped:
        polled = consumer.poll(500)
        if polled:
            upsert(rows(polled.values(), decode))
            consumer.commit()


def rows(polled: Iterable[Sequence[Any]], decode: Decode) -> list[tuple[Any, ...]]:
    """Decode the last message of each key."""
    last = {record.key: record.value for records in polled for record in records}
    return [decode(value) for value in last.values()]


def main() -> None:
    """Run the loop that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "topic", "group", "format", "url"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--registry", default="")
    args = parser.parse_args()
    decode = json_decoder() if args.format == "json" else avro_decoder(args.registry)
    upserts = {
        "postgresql": postgres_upsert,
        "mariadb": mariadb_upsert,
        "mysql": mariadb_upsert,
        "sqlite": sqlite_upsert,
    }
    upsert = upserts[make_url(args.url).get_backend_name()](args.url)
    consumer = KafkaConsumer(
        args.topic,
        bootstrap_servers=args.bootstrap,
        group_id=args.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
    )
    loop(consumer, decode, upsert)
    consumer.close()


if __name__ == "__main__":
    main()
