"""Our own RecordChange, in both forms: what an app publishes is what the Decoder gives."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.change import FarDate, FarTimestamp, Kind, Op, RecordChange, Unbounded, Undecodable
from schemas.decoder import Decoder
from schemas.publish import Change, FieldType, TypedEncoder, encode_change, message_key, typed_schema

VALUES: dict[str, Any] = {
    "text": "École 🙂",
    "integer": 2**53 + 1,
    "long": 2**70,
    "decimal": Decimal("12345678901234567890.120"),
    "float": 0.1,
    "flag": True,
    "day": dt.date(1980, 2, 29),
    "far": FarDate(-735160),
    "time": dt.time(23, 59, 59, 999999),
    "stamp": dt.datetime(2026, 3, 29, 2, 30),  # noqa: DTZ001  zone-less is what is meant
    "instant": dt.datetime(2026, 11, 22, 9, 0, 0, 123456, dt.UTC),
    "far_instant": FarTimestamp(253402300800000000, zoned=True),
    "interval": dt.timedelta(days=-1, microseconds=1),
    "uuid": UUID(int=5),
    "bytes": b"\x00\xff",
    "list": [1, None, Decimal("0.10")],
    "endless": Unbounded.NEGATIVE,
    "null": None,
}  # fmt: skip
FIELDS = {
    "number": FieldType(Kind.TEXT, nullable=False),
    "amount": FieldType(Kind.DECIMAL, precision=12, scale=2),
    "any": FieldType(Kind.DECIMAL),
    "day": FieldType(Kind.DATE),
    "at": FieldType(Kind.TIMESTAMP_TZ),
    "local": FieldType(Kind.TIMESTAMP),
    "id": FieldType(Kind.UUID),
    "more": FieldType(Kind.JSON),
    "span": FieldType(Kind.INTERVAL),
    "count": FieldType(Kind.INTEGER),
}
ROW: dict[str, Any] = {
    "number": "C001",
    "amount": Decimal("-0.01"),
    "any": Decimal("1E-10"),
    "day": dt.date(1980, 2, 29),
    "at": dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC),
    "local": dt.datetime(2026, 3, 29, 2, 30),  # noqa: DTZ001  zone-less is what is meant
    "id": UUID(int=5),
    "more": "[1]",
    "span": dt.timedelta(hours=25),
    "count": 2**53 + 1,
}


def a_change(op: Op = Op.UPDATE, **changed: Any) -> Change:
    given = {"op": op, "before": None, "after": VALUES, **changed}
    return Change("e1", "erp", "customers", "C001", version=7, changed_at=at(), origin="me", **given)


def at() -> dt.datetime:
    return dt.datetime(2026, 11, 22, 9, 0, 0, 123456, dt.UTC)


def exact(change: RecordChange) -> dict[str, Any]:
    row = change.before if change.after is None else change.after
    assert row is not None
    readers = change.shape.readers
    return {name: readers[name](row[name]) if name in readers and row[name] is not None else row[name] for name in change.shape.names}  # fmt: skip


def typed(change: Change, decoder: Decoder | None = None) -> Any:
    decoder = decoder or Decoder(lambda _: typed_schema(FIELDS))
    return decoder(None, TypedEncoder(FIELDS, 9)(change), ())


def test_self_contained_values_come_back_exactly() -> None:
    change = Decoder(lambda _: None)(None, encode_change(a_change()), ())
    assert isinstance(change, RecordChange)
    assert exact(change) == VALUES
    assert {type(value) for value in exact(change).values()} == {type(value) for value in VALUES.values()}


def test_what_is_said_about_a_change_comes_back() -> None:
    for change in (Decoder(lambda _: None)(None, encode_change(a_change()), ()), typed(a_change(after=ROW))):
        assert isinstance(change, RecordChange)
        said = (change.op, change.version, change.origin, change.changed_at_ms)
        assert said == (Op.UPDATE, 7, "me", int(at().timestamp() * 1000))


def test_typed_values_come_back_exactly() -> None:
    change = typed(a_change(after={**ROW, "more": [1]}))
    assert isinstance(change, RecordChange)
    assert exact(change) == ROW
    assert {name: change.shape.kinds[name] for name in FIELDS} == {n: each.kind for n, each in FIELDS.items()}


@pytest.mark.parametrize("op", list(Op))
def test_operations_come_back(op: Op) -> None:
    change = Decoder(lambda _: None)(None, encode_change(a_change(op, before=VALUES)), ())
    assert isinstance(change, RecordChange)
    assert (change.op, change.after is None) == (op, op is Op.DELETE)
    assert exact(change) == VALUES


def test_a_typed_delete_has_the_row_as_it_was() -> None:
    change = typed(a_change(Op.DELETE, before=ROW, after=None))
    assert isinstance(change, RecordChange)
    assert change.before is not None
    assert change.before["number"] == "C001"


def test_a_delete_may_have_no_row() -> None:
    for change in (
        Decoder(lambda _: None)(None, encode_change(a_change(Op.DELETE, after=None)), ()),
        typed(a_change(Op.DELETE, after=None)),
    ):
        assert isinstance(change, RecordChange)
        assert (change.before, change.after, change.shape.names) == (None, None, ())


def test_an_update_without_a_row_is_undecodable() -> None:
    assert isinstance(typed(a_change(after=None)), Undecodable)


def test_rows_of_the_same_fields_have_one_shape() -> None:
    decoder = Decoder(lambda _: typed_schema(FIELDS))
    changes = [decoder(None, encode_change(a_change()), ()) for _ in range(2)]
    changes += [typed(a_change(after=ROW), decoder) for _ in range(2)]
    shapes = [change.shape for change in changes if isinstance(change, RecordChange)]
    assert shapes[0] is shapes[1]
    assert shapes[2] is shapes[3]


def test_a_mapping_of_debezium_s_format_takes_nothing_of_ours() -> None:
    decoder = Decoder(lambda _: typed_schema(FIELDS), format="debezium")
    for decoded in (decoder(None, encode_change(a_change()), ()), typed(a_change(after=ROW), decoder)):
        assert isinstance(decoded, Undecodable)
    ours = Decoder(lambda _: typed_schema(FIELDS), format="instep")
    assert isinstance(ours(None, encode_change(a_change()), ()), RecordChange)


def test_a_change_cut_short_is_undecodable() -> None:
    encoded = encode_change(a_change())
    decoder = Decoder(lambda _: None)
    for size in range(2, len(encoded)):
        assert isinstance(decoder(None, encoded[:size], ()), Undecodable)


@pytest.mark.parametrize("name", ["op", "version", "changed_at", "origin", "before", "after"])
def test_a_schema_of_our_name_with_other_fields_is_none_of_ours(name: str) -> None:
    schema = json.loads(typed_schema(FIELDS))
    for field in schema["fields"]:
        if field["name"] == name:
            field["type"] = "boolean"
    decoder = Decoder(lambda _: json.dumps(schema))
    assert isinstance(decoder(None, TypedEncoder(FIELDS, 9)(a_change(after=ROW)), ()), Undecodable)


def test_the_published_key_is_read() -> None:
    assert Decoder(lambda _: None).key_fields(message_key({"number": "C001"})) == {"number": "C001"}


def test_an_integer_with_more_digits_than_any_app_has_is_no_value() -> None:
    change = Decoder(lambda _: None)(None, encode_change(a_change(after={"number": 10**5000})), ())
    assert isinstance(change, RecordChange)
    with pytest.raises(ValueError, match="too many digits"):
        exact(change)
