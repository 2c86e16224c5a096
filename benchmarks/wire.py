"""The same change as Debezium puts it on the wire: JSON with its schema, and Avro in Confluent framing.

Envelope, source block, schema names and headers are those of Debezium's PostgreSQL connector with its defaults
(decimals precise, `before` of an update null). Written by hand, as millions are needed in seconds;
`check` compares a sample with what orjson and fastavro read.
"""

import base64
import io
import itertools
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from importlib import resources
from typing import Any, NamedTuple

import fastavro
import orjson

from benchmarks.changes import COLUMNS, Change, Customer

HEADERS: list[tuple[str, bytes]] = [
    ("__debezium.context.connectorLogicalName", b"erp"),
    ("__debezium.context.taskId", b"0"),
    ("__debezium.context.connectorName", b"postgresql"),
]
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  without a zone, as in the source
_CHANGED_MS = 1_795_391_876_761


class Message(NamedTuple):
    """What goes to Kafka."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]] = HEADERS


def _connect_decimal() -> dict[str, Any]:
    parameters = {"scale": "2", "connect.decimal.precision": "12"}
    return {"name": "org.apache.kafka.connect.data.Decimal", "version": 1, "parameters": parameters}


def _json_fields() -> list[dict[str, Any]]:
    text, optional = {"type": "string", "optional": False}, {"type": "string", "optional": True}
    return [
        text | {"field": "number"},
        text | {"field": "name"},
        optional | {"field": "email"},
        optional | {"field": "city"},
        {"type": "bytes", "optional": True} | _connect_decimal() | {"field": "credit_limit"},
        {"type": "boolean", "optional": False, "default": False, "field": "blocked"},
        {"type": "int32", "optional": True, "field": "visits"},
        {
            "type": "int64",
            "optional": True,
            "name": "io.debezium.time.MicroTimestamp",
            "version": 1,
            "field": "opened",
        },
    ]


def _json_source() -> dict[str, Any]:
    kinds = {"ts_ms": "int64"}
    names = ("version", "connector", "name", "ts_ms", "db", "schema", "table")
    fields = [{"type": kinds.get(name, "string"), "optional": False, "field": name} for name in names]
    name = "io.debezium.connector.postgresql.Source"
    return {"type": "struct", "fields": fields, "optional": False, "name": name, "field": "source"}


def _json_envelope() -> dict[str, Any]:
    row = {"type": "struct", "fields": _json_fields(), "optional": True, "name": "erp.public.customers.Value"}
    fields = [row | {"field": "before"}, row | {"field": "after"}, _json_source()]
    fields += [
        {"type": "string", "optional": False, "field": "op"},
        {"type": "int64", "optional": True, "field": "ts_ms"},
    ]
    return {
        "type": "struct",
        "fields": fields,
        "optional": False,
        "name": "erp.public.customers.Envelope",
        "version": 2,
    }


def _json_key() -> dict[str, Any]:
    fields = [{"type": "string", "optional": False, "field": "number"}]
    return {"type": "struct", "fields": fields, "optional": False, "name": "erp.public.customers.Key"}


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


_KEY_START = b'{"schema":' + _compact(_json_key()) + b',"payload":{"number":"'
_VALUE_START = b'{"schema":' + _compact(_json_envelope()) + b',"payload":'
_PAYLOAD = (
    '{"before":null,"after":{"number":"%s","name":"%s","email":%s,"city":"%s","credit_limit":"%s","blocked":%s,"visits":%d,'
    '"opened":%d},"source":{"version":"3.5.0.Final","connector":"postgresql","name":"erp","ts_ms":%d,"db":"erp",'
    '"schema":"public","table":"customers"},"op":"%s","ts_ms":%d}}'
)


def cents_bytes(cents: int) -> bytes:
    """Return an unscaled decimal as Connect and Avro write it: two's complement, big-endian, shortest."""
    return cents.to_bytes(cents.bit_length() // 8 + 1, "big", signed=True)


def json_message(change: Change) -> Message:
    """Write a change as JSON with its schema, key likewise."""
    row = change.row
    position = change.position
    payload = _PAYLOAD % (
        row.number,
        row.name,
        "null" if row.email is None else f'"{row.email}"',
        row.city,
        base64.b64encode(cents_bytes(row.credit_cents)).decode(),
        "true" if row.blocked else "false",
        row.visits,
        row.opened_micros,
        _CHANGED_MS + position,
        change.op,
        _CHANGED_MS + position + 100,
    )
    return Message(_KEY_START + row.number.encode() + b'"}}', _VALUE_START + payload.encode())


def _nullable(kind: Any) -> list[Any]:
    return ["null", kind]


def _avro_row() -> dict[str, Any]:
    decimal = {
        "type": "bytes",
        "scale": 2,
        "precision": 12,
        "connect.version": 1,
        "connect.parameters": {"scale": "2", "connect.decimal.precision": "12"},
        "connect.name": "org.apache.kafka.connect.data.Decimal",
        "logicalType": "decimal",
    }
    opened = {"type": "long", "connect.version": 1, "connect.name": "io.debezium.time.MicroTimestamp"}
    fields: list[dict[str, Any]] = [{"name": "number", "type": "string"}, {"name": "name", "type": "string"}]
    fields += [{"name": name, "type": _nullable("string"), "default": None} for name in ("email", "city")]
    fields.append({"name": "credit_limit", "type": _nullable(decimal), "default": None})
    fields.append(
        {"name": "blocked", "type": {"type": "boolean", "connect.default": False}, "default": False}
    )
    fields.append({"name": "visits", "type": _nullable("int"), "default": None})
    fields.append({"name": "opened", "type": _nullable(opened), "default": None})
    return {"type": "record", "name": "Value", "fields": fields, "connect.name": "erp.public.customers.Value"}


def _avro_source() -> dict[str, Any]:
    snapshot = {
        "type": "string",
        "connect.version": 1,
        "connect.parameters": {
            "allowed": "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"
        },
        "connect.default": "false",
        "connect.name": "io.debezium.data.Enum",
    }
    fields: list[dict[str, Any]] = [
        {"name": name, "type": "string"} for name in ("version", "connector", "name")
    ]
    fields += [
        {"name": "ts_ms", "type": "long"},
        {"name": "snapshot", "type": [snapshot, "null"], "default": "false"},
    ]
    fields += [
        {"name": "db", "type": "string"},
        {"name": "sequence", "type": _nullable("string"), "default": None},
    ]
    fields += [{"name": name, "type": _nullable("long"), "default": None} for name in ("ts_us", "ts_ns")]
    fields += [{"name": name, "type": "string"} for name in ("schema", "table")]
    fields += [{"name": name, "type": _nullable("long"), "default": None} for name in ("txId", "lsn", "xmin")]
    name = {"name": "Source", "namespace": "io.debezium.connector.postgresql"}
    return {
        "type": "record",
        "fields": fields,
        "connect.name": "io.debezium.connector.postgresql.Source",
    } | name


def _avro_block() -> dict[str, Any]:
    fields = [{"name": "id", "type": "string"}]
    fields += [{"name": name, "type": "long"} for name in ("total_order", "data_collection_order")]
    return {
        "type": "record",
        "name": "block",
        "namespace": "event",
        "fields": fields,
        "connect.name": "event.block",
    }


def avro_value_schema() -> dict[str, Any]:
    """Return the envelope as Debezium's PostgreSQL connector registers it."""
    fields: list[dict[str, Any]] = [
        {"name": "before", "type": _nullable(_avro_row()), "default": None},
        {"name": "after", "type": _nullable("Value"), "default": None},
        {"name": "source", "type": _avro_source()},
        {"name": "transaction", "type": _nullable(_avro_block()), "default": None},
        {"name": "op", "type": "string"},
    ]
    fields += [
        {"name": name, "type": _nullable("long"), "default": None} for name in ("ts_ms", "ts_us", "ts_ns")
    ]
    envelope = {"type": "record", "name": "Envelope", "namespace": "erp.public.customers", "fields": fields}
    return envelope | {"connect.version": 2, "connect.name": "erp.public.customers.Envelope"}


def avro_key_schema() -> dict[str, Any]:
    """Return the key as Debezium registers it."""
    fields = [{"name": "number", "type": "string"}]
    key = {"type": "record", "name": "Key", "namespace": "erp.public.customers", "fields": fields}
    return key | {"connect.name": "erp.public.customers.Key"}


def long_bytes(value: int) -> bytes:
    """Write an Avro int or long: zigzag, seven bits a byte."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text_bytes(text: str) -> bytes:
    """Write an Avro string."""
    data = text.encode()
    return long_bytes(len(data)) + data


def row_bytes(row: Customer) -> bytes:
    """Write a row by the fields of `Value`."""
    cents = cents_bytes(row.credit_cents)
    return b"".join(
        (
            text_bytes(row.number),
            text_bytes(row.name),
            b"\x00" if row.email is None else b"\x02" + text_bytes(row.email),
            b"\x02" + text_bytes(row.city),
            b"\x02" + long_bytes(len(cents)) + cents,
            b"\x01" if row.blocked else b"\x00",
            b"\x02" + long_bytes(row.visits),
            b"\x02" + long_bytes(row.opened_micros),
        )
    )


_SOURCE_START = text_bytes("3.5.0.Final") + text_bytes("postgresql") + text_bytes("erp")
_SOURCE_MIDDLE = (
    b"\x00"
    + text_bytes("false")
    + text_bytes("erp")
    + b"\x00" * 3
    + text_bytes("public")
    + text_bytes("customers")
)


_TYPED_START = text_bytes("erp") + text_bytes("customers")


def frame(schema_id: int) -> bytes:
    """Return the five bytes before a Confluent message."""
    return b"\x00" + schema_id.to_bytes(4, "big")


def avro_message(change: Change, key_frame: bytes, value_frame: bytes) -> Message:
    """Write a change as Avro in Confluent framing, key likewise."""
    position = change.position
    value = b"".join(
        (
            value_frame,
            b"\x00\x02",
            row_bytes(change.row),
            _SOURCE_START,
            long_bytes(_CHANGED_MS + position),
            _SOURCE_MIDDLE,
            b"\x02" + long_bytes(2000 + position),
            b"\x02" + long_bytes(432_000_000 + position * 100),
            b"\x00\x00",
            text_bytes(change.op),
            b"\x02" + long_bytes(_CHANGED_MS + position + 100),
            b"\x00\x00",
        )
    )
    return Message(key_frame + text_bytes(change.row.number), value)


def typed_value_schema() -> dict[str, Any]:
    """Return our own typed form for customers: `Row` of the published schema with the customer's fields."""
    schema: dict[str, Any] = json.loads(
        (resources.files("schemas") / "avsc" / "TypedRecordChange.avsc").read_text()
    )
    before = next(field for field in schema["fields"] if field["name"] == "before")
    optional = _nullable("string")
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
    opened = {"type": "long", "logicalType": "local-timestamp-micros"}
    kinds = (
        "string",
        "string",
        optional,
        optional,
        _nullable(decimal),
        "boolean",
        _nullable("int"),
        _nullable(opened),
    )
    before["type"][1]["fields"] = [
        {"name": name, "type": kind} for name, kind in zip(COLUMNS, kinds, strict=True)
    ]
    return schema


_TYPED_OPS = {"c": b"\x00", "u": b"\x02"}


def typed_message(change: Change, key_frame: bytes, value_frame: bytes) -> Message:
    """Write a change in our typed form in Confluent framing; the key as Debezium's."""
    row, position = change.row, change.position
    value = b"".join(
        (
            value_frame,
            text_bytes(f"erp-{position}"),
            _TYPED_START,
            text_bytes(row.number),
            _TYPED_OPS[change.op],
            b"\x02" + long_bytes(position),
            b"\x02" + long_bytes((_CHANGED_MS + position) * 1000),
            b"\x00" * 3,
            b"\x00\x02",
            row_bytes(row),
        )
    )
    return Message(key_frame + text_bytes(row.number), value, [])


def check(changes: Iterable[Change]) -> None:
    """Raise AssertionError when a written change does not read back as the same row."""
    forms = [
        (avro_message, fastavro.parse_schema(avro_value_schema())),
        (typed_message, fastavro.parse_schema(typed_value_schema())),
    ]
    for change in itertools.islice(changes, 200):
        row = change.row
        message = json_message(change)
        after = orjson.loads(message.value)["payload"]["after"]
        cents = int.from_bytes(base64.b64decode(after["credit_limit"]), "big", signed=True)
        assert (*after.values(),) == (*row[:4], after["credit_limit"], *row[5:]), change
        assert cents == row.credit_cents, change
        for write, schema in forms:
            data = io.BytesIO(write(change, frame(1), frame(2)).value[5:])
            envelope: Any = fastavro.schemaless_reader(data, schema, None)
            assert data.read() == b"", change
            after = envelope["after"]
            opened = (
                after["opened"]
                if isinstance(after["opened"], int)
                else (after["opened"] - _EPOCH) // timedelta(microseconds=1)
            )
            assert (*after.values(),) == (*row[:4], after["credit_limit"], *row[5:7], after["opened"]), change
            assert (int(after["credit_limit"] * 100), opened) == (row.credit_cents, row.opened_micros), change
