"""The real captures, decoded and folded by key, against the source tables."""

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from schemas.change import FarDate, Op, RecordChange, Tombstone, Unbounded
from schemas.decoder import Decoder
from schemas.wire import temporal
from tests.captures import CAPTURES, captured, expected, find_schema

# Where the source sends no schema, the target's columns decide: here this table stands for them.
COLUMNS: Mapping[str, Callable[[Any], Any]] = {
    "credit_limit": Decimal,
    "total": Decimal,
    "born": temporal.read_date,
    "seen": temporal.read_zoned_timestamp,
    "placed_at": temporal.read_zoned_timestamp,
    "opened": temporal.read_timestamp_micros,
    "hours": temporal.read_duration_micros,
    "t": temporal.read_time_micros,
}


def fold(name: str, table: str) -> dict[str, dict[str, str]]:
    decoder = Decoder(find_schema)
    rows: dict[str, dict[str, str]] = {}
    for record in captured(name):
        if record.table != table:
            continue
        key = str(next(iter((decoder.key_fields(record.key) or {}).values())))
        change = decoder(record.key, record.value, record.headers)
        match change:
            case RecordChange(op=Op.DELETE) | Tombstone():
                rows.pop(key, None)
            case RecordChange(after=dict(after), shape=shape):
                readers = shape.readers if shape.kinds else COLUMNS
                rows[key] = {
                    field: as_postgres(readers[field](after[field]))
                    if field in readers and after[field] is not None
                    else as_postgres(after[field])
                    for field in shape.names
                }
            case _:
                raise AssertionError(change)
    return rows


def as_postgres(value: Any) -> str:  # noqa: PLR0911  one return for each type
    match value:
        case None:
            return "\\N"
        case bool():
            return "t" if value else "f"
        case FarDate(days=-735160):
            return "0044-03-15 BC"
        case Unbounded():
            return value.value
        case dt.datetime(tzinfo=None):
            return value.isoformat(" ")
        case dt.datetime():
            return value.isoformat(" ").replace("+00:00", "+00")
        case dt.timedelta(days=1):
            return f"1 day {dt.datetime(1, 1, 1, tzinfo=dt.UTC) + value - dt.timedelta(days=1):%H:%M:%S}"
        case _:
            return str(value)


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("table", ["customers", "orders"])
def test_a_capture_folded_by_key_is_the_source_table(name: str, table: str) -> None:
    folded = fold(name, table)
    wanted = {next(iter(row.values())): row for row in expected(table)}
    if table == "customers" and name != "debezium-json.jsonl":
        assert wanted["C003"]["credit_limit"] == "NaN"
        wanted["C003"]["credit_limit"] = "\\N"  # Debezium sends null for NaN, but where decimals are text
    assert folded.keys() == wanted.keys()
    for key, row in wanted.items():
        # a row that was last changed before a column was added has no value for it
        assert {field: folded[key].get(field, "\\N") for field in row} == row


@pytest.mark.parametrize("name", CAPTURES)
def test_every_record_of_a_capture_is_a_change_or_a_tombstone(name: str) -> None:
    decoder = Decoder(find_schema)
    kinds = [type(decoder(each.key, each.value, each.headers)) for each in captured(name)]
    assert set(kinds) == {RecordChange, Tombstone}
    assert kinds.count(RecordChange) == 36


@pytest.mark.parametrize("name", CAPTURES)
def test_every_key_of_a_capture_is_read_but_those_of_a_table_without(name: str) -> None:
    decoder = Decoder(find_schema)
    for record in captured(name):
        fields = decoder.key_fields(record.key)
        assert (fields is None) is (record.table == "nopk")


@pytest.mark.parametrize("name", CAPTURES)
def test_a_schema_gives_one_shape(name: str) -> None:
    decoder = Decoder(find_schema)
    shapes = {
        id(change.shape)
        for each in captured(name)
        if isinstance(change := decoder(each.key, each.value, each.headers), RecordChange)
    }
    # four tables; customers had a column more, and then another one less
    assert len(shapes) == 6


@pytest.mark.parametrize("name", CAPTURES)
def test_a_changed_key_is_a_delete_a_tombstone_and_a_create(name: str) -> None:
    decoder = Decoder(find_schema)
    of_keys = [
        (change.op if isinstance(change, RecordChange) else type(change), tuple(key.values()))
        for each in captured(name)
        if (key := decoder.key_fields(each.key))
        and (change := decoder(each.key, each.value, each.headers))
        and key.get("number") in {"C002", "C100"}
    ]
    assert [op for op, key in of_keys if key == ("C002",)] == [Op.CREATE, Op.DELETE, Tombstone]
    assert [op for op, key in of_keys if key == ("C100",)] == [Op.CREATE]


@pytest.mark.parametrize("name", CAPTURES)
def test_the_time_of_a_change_is_the_source_s(name: str) -> None:
    decoder = Decoder(find_schema)
    changes = [decoder(each.key, each.value, each.headers) for each in captured(name)]
    assert all(
        c.changed_at_ms // 10**8 == 17953 for c in changes if isinstance(c, RecordChange) and c.changed_at_ms
    )
    assert all(c.changed_at_ms is not None for c in changes if isinstance(c, RecordChange))
