"""Envelopes, flattened rows, what is no change of a record, and values that Debezium did not get."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from schemas.change import Decoded, Ignored, Op, RecordChange, Undecodable
from schemas.decoder import Decoder

MARK = "__debezium_unavailable_value"


def decode(payload: Any) -> Decoded:
    return Decoder(lambda _: None)(None, json.dumps(payload, separators=(",", ":")).encode(), ())


def change(payload: Any) -> RecordChange:
    decoded = decode(payload)
    assert isinstance(decoded, RecordChange), decoded
    return decoded


def with_schema(name: str, fields: Mapping[str, Any], payload: Any) -> Any:
    listed = [{"field": field, **schema} for field, schema in fields.items()]
    return {"schema": {"type": "struct", "name": name, "fields": listed}, "payload": payload}


def envelope(**changed: Any) -> dict[str, Any]:
    return {"before": None, "after": {"id": 1}, "source": {"ts_ms": 5}, "op": "c", "ts_ms": 9, **changed}


@pytest.mark.parametrize(
    ("op", "meant"), [("c", Op.CREATE), ("u", Op.UPDATE), ("r", Op.SNAPSHOT), ("d", Op.DELETE)]
)
def test_an_operation_is_known_by_its_letter(op: str, meant: Op) -> None:
    assert change(envelope(op=op, before={"id": 1})).op is meant


@pytest.mark.parametrize("op", ["x", "", "C", None, 1, ["c"], {"c": 1}])
def test_an_unknown_operation_is_said_to_be_one(op: Any) -> None:
    decoded = decode(envelope(op=op))
    assert isinstance(decoded, Undecodable)
    assert decoded.code == "unknown_operation"


@pytest.mark.parametrize(("op", "reason"), [("t", "truncate"), ("m", "message")])
def test_a_truncate_and_a_logical_message_are_no_change_of_a_record(op: str, reason: str) -> None:
    assert decode({"op": op, "source": {}, "ts_ms": 1}) == Ignored(reason)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"ts_ms": 1}, "heartbeat"),
        ({"ts_ms": 1, "ts_us": 1, "ts_ns": 1}, "heartbeat"),
        ({"status": "BEGIN", "id": "1:2", "event_count": None, "data_collections": None}, "transaction"),
        ({"source": {}, "databaseName": "d", "ddl": "create table", "tableChanges": []}, "schema_change"),
        ({"id": "1", "type": "t", "aggregate_type": "a", "additional_data": {}}, "notification"),
    ],
)
def test_what_debezium_says_besides_changes_is_ignored(payload: Any, reason: str) -> None:
    assert decode(payload) == Ignored(reason)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("io.debezium.connector.common.Heartbeat", "heartbeat"),
        ("io.debezium.connector.mysql.SchemaChangeValue", "schema_change"),
        ("io.debezium.connector.common.TransactionMetadataValue", "transaction"),
        ("io.debezium.connector.common.Notification", "notification"),
    ],
)
def test_what_debezium_says_besides_changes_is_known_by_its_schema(name: str, reason: str) -> None:
    assert decode(with_schema(name, {"x": {"type": "string"}}, {"x": ""})) == Ignored(reason)


@pytest.mark.parametrize(
    "payload", [{}, {"a": 1}, [], [{"op": "c"}], 5, "c", None, True, {"op": "c"}, {"after": {"id": 1}}]
)
def test_json_that_is_no_change_is_undecodable(payload: Any) -> None:
    decoded = decode(payload)
    assert isinstance(decoded, Undecodable)
    assert decoded.code == "undecodable"


@pytest.mark.parametrize("after", [None, [], "row", 5])
def test_a_create_without_a_row_is_undecodable(after: Any) -> None:
    assert isinstance(decode(envelope(after=after)), Undecodable)


@pytest.mark.parametrize("before", [[], "row", 5])
def test_a_row_that_is_none_is_undecodable(before: Any) -> None:
    assert isinstance(decode(envelope(before=before)), Undecodable)
    assert isinstance(decode(envelope(op="d", before=before)), Undecodable)


def test_a_delete_without_the_row_as_it_was_has_none() -> None:
    deleted = change(envelope(op="d", after=None))
    assert (deleted.before, deleted.after, deleted.shape.names) == (None, None, ())


def test_a_delete_has_the_shape_of_the_row_as_it_was() -> None:
    deleted = change(envelope(op="d", before={"id": 1}, after=None))
    assert (deleted.before, deleted.shape.names) == ({"id": 1}, ("id",))


def test_the_time_is_that_in_the_source_else_the_connector_s() -> None:
    assert change(envelope()).changed_at_ms == 5
    assert change(envelope(source={})).changed_at_ms == 9
    assert change(envelope(source=None)).changed_at_ms == 9
    assert change(envelope(source={"ts_ms": "5"}, ts_ms="9")).changed_at_ms is None


def test_the_origin_is_that_of_the_source() -> None:
    assert change(envelope(source={"origin": "instep"})).origin == "instep"
    assert change(envelope(source={"origin": 5})).origin is None


def test_a_row_without_a_field_of_its_schema_has_a_smaller_shape() -> None:
    row = {"type": "struct", "fields": [{"type": "int32", "field": "id"}, {"type": "bytes", "field": "b"}]}
    fields = {"before": row, "after": row, "op": {"type": "string"}}
    smaller = change(with_schema("Envelope", fields, envelope(after={"other": 1, "id": 1})))
    assert smaller.shape.names == ("id",)
    assert set(smaller.shape.kinds) == {"id"}
    assert not smaller.shape.readers


def test_a_flattened_row_is_a_change() -> None:
    flat = change({"id": 1, "__op": "c", "__deleted": "false", "__source_ts_ms": 5, "__table": "t"})
    assert (flat.op, flat.shape.names, flat.changed_at_ms) == (Op.CREATE, ("id",), 5)
    assert flat.after is not None
    assert flat.after["id"] == 1


@pytest.mark.parametrize("marks", [{"__deleted": "true"}, {"__deleted": True}, {"__op": "d"}])
def test_a_flattened_row_that_is_marked_deleted_is_a_delete(marks: dict[str, Any]) -> None:
    flat = change({"id": 1, **marks})
    assert (flat.op, flat.after, flat.shape.names) == (Op.DELETE, None, ("id",))
    assert flat.before is not None
    assert flat.before["id"] == 1


def test_a_flattened_row_without_an_operation_is_an_update() -> None:
    assert change({"id": 1, "__deleted": "false"}).op is Op.UPDATE


def test_a_flattened_row_of_an_unknown_operation_is_undecodable() -> None:
    decoded = decode({"id": 1, "__op": "x"})
    assert isinstance(decoded, Undecodable)
    assert decoded.code == "unknown_operation"


def test_a_flattened_row_with_nothing_added_is_known_by_its_schema_s_name() -> None:
    flat = change(with_schema("erp.public.customers.Value", {"id": {"type": "int32"}}, {"id": 1}))
    assert (flat.op, flat.after) == (Op.UPDATE, {"id": 1})


def test_what_debezium_adds_to_a_flattened_row_is_no_field_of_it() -> None:
    fields = {"id": {"type": "int32"}, "__op": {"type": "string"}}
    assert change(with_schema("erp.Value", fields, {"id": 1, "__op": "r"})).shape.names == ("id",)


TEXT, INTEGERS = {"type": "string"}, {"type": "array", "items": {"type": "int32"}}
DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "0"}}
UNAVAILABLE: list[tuple[dict[str, Any], Any]] = [
    (TEXT, MARK),
    (TEXT, MARK.encode().hex()),
    ({"type": "bytes"}, base64.b64encode(MARK.encode()).decode()),
    ({"type": "array", "items": TEXT}, [MARK]),
    ({"type": "array", "items": {"type": "string", "name": "io.debezium.data.Uuid"}}, ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]),
    (INTEGERS, list(MARK.encode())),
    ({"type": "array", "items": {"type": "double"}}, [float(byte) for byte in MARK.encode()]),
    ({"type": "map", "keys": TEXT, "values": TEXT}, {MARK: MARK}),
    (
        {"type": "struct", "fields": [{"field": "wkb", "type": "bytes"}]},
        {"wkb": base64.b64encode(bytes.fromhex("0101000020E6100000000000FC83D797C1000000FC83D797C1")).decode(), "srid": 4326},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value"), UNAVAILABLE)
def test_a_value_that_debezium_did_not_get_is_not_in_the_change(schema: dict[str, Any], value: Any) -> None:
    row = {"type": "struct", "fields": [{"type": "int32", "field": "id"}, {**schema, "field": "big"}]}
    fields = {"before": row, "after": row, "op": TEXT}
    payload = envelope(op="u", after={"id": 1, "big": value}, before={"id": 1, "big": value})
    for message in (payload, with_schema("Envelope", fields, payload)):
        updated = change(message)
        assert (updated.after, updated.before, updated.shape.names) == ({"id": 1}, {"id": 1}, ("id",))


@pytest.mark.parametrize(("schema", "value"), UNAVAILABLE)
def test_a_value_that_only_starts_like_one_is_kept(schema: dict[str, Any], value: Any) -> None:
    kept = {"list": value, "more": 1} if isinstance(value, dict) else value * 2
    assert change(envelope(op="u", after={"id": 1, "big": kept})).after == {"id": 1, "big": kept}


def test_an_array_of_decimals_that_debezium_did_not_get_is_not_in_the_change() -> None:
    row = {"type": "struct", "fields": [{"type": "array", "items": DECIMAL, "field": "big"}]}
    value = [base64.b64encode(bytes((byte,))).decode() for byte in MARK.encode()]
    fields = {"before": row, "after": row, "op": TEXT}
    assert change(with_schema("Envelope", fields, envelope(op="u", after={"big": value}))).after == {}


def test_a_flattened_row_goes_without_what_debezium_did_not_get() -> None:
    assert change({"id": 1, "big": MARK, "__op": "u"}).shape.names == ("id",)


@pytest.mark.parametrize("flattened", [False, True])
def test_what_debezium_did_not_get_is_said_to_be_lacking(flattened: bool) -> None:
    row = {"id": 1, "name": MARK, "city": None}
    told = change({"__op": "u", **row} if flattened else envelope(op="u", after=row))
    assert told.shape.lacks == {"name"}


def test_a_row_that_is_whole_lacks_nothing_though_another_of_the_same_fields_does() -> None:
    decoder = Decoder(lambda _: None)
    shapes = []
    for row in ({"id": 1, "name": MARK}, {"id": 1}):
        told = decoder(None, json.dumps(envelope(op="u", after=row)).encode(), ())
        assert isinstance(told, RecordChange)
        shapes.append(told.shape.lacks)
    assert shapes == [{"name"}, frozenset()]
