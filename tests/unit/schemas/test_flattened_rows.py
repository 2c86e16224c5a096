"""A flattened row is one whatever its columns are called, also `op`, `source`, `before` and `after` as in an envelope."""

import io
import json
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from schemas.change import Decoded, Op, RecordChange, Undecodable
from schemas.decoder import Decoder

MARKS = {"__op": "u", "__deleted": "false"}


def without_schema(row: Mapping[str, Any]) -> Decoded:
    return Decoder(lambda _: None)(None, json.dumps(row).encode(), ())


def with_schema(row: Mapping[str, Any]) -> Decoded:
    fields = [{"field": name, "type": "string", "optional": True} for name in row]
    schema = {"type": "struct", "name": "shop.public.trades.Value", "fields": fields}
    message = {"schema": schema, "payload": row}
    return Decoder(lambda _: None)(None, json.dumps(message, separators=(",", ":")).encode(), ())


def in_avro(row: Mapping[str, Any]) -> Decoded:
    fields = [{"name": name, "type": ["null", "string"], "default": None} for name in row]
    schema = {"type": "record", "namespace": "shop.public.trades", "name": "Value", "fields": fields}
    stream = io.BytesIO(b"\0" + struct.pack(">i", 1))
    stream.seek(5)
    schemaless_writer(stream, parse_schema(schema), row)
    return Decoder(lambda _: json.dumps(schema))(None, stream.getvalue(), ())


@pytest.mark.parametrize("decode", [without_schema, with_schema, in_avro])
@pytest.mark.parametrize("op", ["d", "t", "buy"])
@pytest.mark.parametrize("other", ["source", "after", "before"])
def test_columns_that_are_called_as_in_an_envelope_are_columns(
    decode: Callable[[Mapping[str, Any]], Decoded], op: str, other: str
) -> None:
    row = {"id": "1", "op": op, other: None, "source": "web", **MARKS}

    decoded = decode(row)

    assert isinstance(decoded, RecordChange), decoded
    assert decoded.op is Op.UPDATE
    assert decoded.after is not None
    assert (decoded.after["id"], decoded.after["op"], decoded.after["source"]) == ("1", op, "web")


@pytest.mark.parametrize("decode", [with_schema, in_avro])
def test_a_row_with_nothing_added_is_known_by_its_schema_whatever_its_columns_are_called(
    decode: Callable[[Mapping[str, Any]], Decoded],
) -> None:
    decoded = decode({"id": "1", "op": "d", "source": "web"})

    assert isinstance(decoded, RecordChange), decoded
    assert (decoded.op, decoded.after) == (Op.UPDATE, {"id": "1", "op": "d", "source": "web"})


@pytest.mark.parametrize("source", ["web", None, 5])
def test_a_row_with_nothing_added_and_no_schema_is_no_delete(source: object) -> None:
    assert isinstance(without_schema({"id": 1, "op": "d", "source": source}), Undecodable)


def test_a_number_beside_a_column_called_op_keeps_its_digits() -> None:
    digits = "0.12345678901234567890"
    value = f'{{"id":1,"op":"buy","source":"web","price":{digits},"__op":"u"}}'.encode()

    decoded = Decoder(lambda _: None)(None, value, ())

    assert isinstance(decoded, RecordChange), decoded
    assert decoded.after is not None
    assert decoded.after["price"] == Decimal(digits)
