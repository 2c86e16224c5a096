"""How the Decoder tells formats and schemas apart, reads keys, keeps numbers, and takes bad input."""

import base64
import json
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.change import Decoded, RecordChange, Shape, Tombstone, Undecodable
from schemas.decoder import MAX_VALUE_BYTES, Decoder
from tests.captures import captured, find_schema

AVRO = next(each for each in captured("debezium-avro.jsonl") if each.table == "orders")
WITH_SCHEMA = next(each for each in captured("debezium-json-schema.jsonl") if each.table == "orders")
PLAIN = next(each for each in captured("debezium-json.jsonl") if each.table == "orders")


def decode(value: bytes | None, find: Callable[[Any], str | None] = find_schema, **options: Any) -> Decoded:
    return Decoder(find, **options)(None, value, ())


def code_of(decoded: Decoded) -> str:
    assert isinstance(decoded, Undecodable), decoded
    return decoded.code


def row_of(decoded: Decoded) -> dict[str, Any]:
    assert isinstance(decoded, RecordChange), decoded
    return dict(decoded.after or {})


def event(after: str) -> bytes:
    return b'{"before":null,"after":' + after.encode() + b',"op":"c"}'


def nested(depth: int) -> bytes:
    return b'{"op":"c","after":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


def value_of(record: Any) -> bytes:
    assert record.value is not None
    return bytes(record.value)


BAD: dict[str, bytes] = {
    "empty": b"",
    "blank": b"   ",
    "random": b"\x93\x01\xff\xfe\x80",
    "invalid UTF-8": event('"x"').replace(b"x", b"\xff"),
    "invalid JSON": b'{"op":"c","after":{',
    "lone surrogate": event('{"a":"\\ud800"}'),
    "NaN": event('{"a":NaN}'),
    "Infinity": event('{"a":-Infinity}'),
    "trailing text": event('{"a":1}') + b"x",
    "two documents": event('{"a":1}') * 2,
    "nested 10,000 deep": nested(10_000),
    "nested 2,000 deep": nested(2_000),
    "arrays nested 10,000 deep": b"[" * 10_000,
    "truncated Avro": value_of(AVRO)[:-3],
    "Avro with a byte more": value_of(AVRO) + b"\x00",
    "Avro of another schema": b"\x00\x00\x00\x00\x01" + value_of(AVRO)[5:],
    "a mark and no id": b"\x00\x00\x00",
    "an id and no more": value_of(AVRO)[:5],
    "a length that is negative": b"\x00\x00\x00\x00\x01\x01",
    "a length beyond the end": b"\x00\x00\x00\x00\x01\xfe\xff\xff\xff\x0f",
    "a number without end": b"\x00\x00\x00\x00\x01" + b"\xff" * 100,
    "an integer of 5,000 digits": event('{"a":' + "9" * 5_000 + "}"),
    "a number beyond every float": event('{"a":1e400}'),
    "a schema that is none": b'{"schema":5,"payload":{}}',
    "a schema with no fields": b'{"schema":{"type":"struct","fields":5},"payload":{}}',
    "a schema nested deep": b'{"schema":' + b'{"type":"array","items":' * 900 + b"1" + b"}" * 900 + b',"payload":{}}',
}  # fmt: skip


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_bad_bytes_are_undecodable(value: bytes) -> None:
    assert code_of(decode(value)) == "undecodable"


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_bad_bytes_after_good_ones_are_undecodable_still(value: bytes) -> None:
    decoder = Decoder(find_schema)
    for good in (AVRO, WITH_SCHEMA, PLAIN):
        assert isinstance(decoder(None, good.value, ()), RecordChange)
    assert code_of(decoder(None, value, ())) == "undecodable"


def test_an_id_that_the_registry_does_not_know_is_an_unknown_schema() -> None:
    decoded = decode(struct.pack(">BI", 0, 99) + b"rest")
    assert code_of(decoded) == "unknown_schema"
    assert isinstance(decoded, Undecodable)
    assert "99" in decoded.message


def test_an_unknown_id_is_asked_for_again_and_a_known_one_is_not() -> None:
    asked: list[object] = []

    def find(schema_id: object) -> str | None:
        asked.append(schema_id)
        return find_schema(schema_id) if len(asked) > 1 else None

    decoder = Decoder(find)
    assert code_of(decoder(None, AVRO.value, ())) == "unknown_schema"
    for _ in range(3):
        assert isinstance(decoder(None, AVRO.value, ()), RecordChange)
    assert len(asked) == 2


def test_what_the_registry_raises_passes_through() -> None:
    def find(_: object) -> str | None:
        raise ConnectionError("the registry is away")

    with pytest.raises(ConnectionError):
        decode(AVRO.value, find)
    with pytest.raises(ConnectionError):
        Decoder(find).key_fields(AVRO.key)


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{}", '{"type":"wrong"}', "[" * 5000, '["null","null","null"]']
)
def test_a_schema_that_is_no_avro_schema_is_undecodable(text: str) -> None:
    assert code_of(decode(AVRO.value, lambda _: text)) == "undecodable"


def test_a_single_object_of_another_schema_is_an_unknown_schema() -> None:
    assert code_of(decode(b"\xc3\x01" + bytes(8) + b"rest")) == "unknown_schema"
    assert code_of(decode(b"\xc3\x01")) == "unknown_schema"


def test_a_value_too_large_to_decode_is_told_by_its_size() -> None:
    decoded = decode(bytes(MAX_VALUE_BYTES + 1))
    assert code_of(decoded) == "too_large"


def test_a_value_of_a_megabyte_is_decoded() -> None:
    assert row_of(decode(event(json.dumps({"a": "x" * 2**20})))) == {"a": "x" * 2**20}


def test_no_value_is_a_tombstone() -> None:
    assert decode(None) == Tombstone()


@pytest.mark.parametrize("record", [AVRO, WITH_SCHEMA, PLAIN], ids=["avro", "json-schema", "json"])
def test_a_mapping_of_our_format_takes_nothing_of_debezium_s(record: Any) -> None:
    assert code_of(decode(record.value, format="instep")) == "undecodable"
    assert isinstance(decode(record.value, format="debezium"), RecordChange)


KEY_OF_A_DECIMAL = (
    b'{"schema":{"type":"struct","fields":[{"field":"d","type":"bytes",'
    b'"name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}}]},"payload":{"d":"/w=="}}'
)
SCHEMA_ID = int.from_bytes(value_of(AVRO)[1:5], "big")


@pytest.mark.parametrize("named", [SCHEMA_ID, UUID("01a205d6-d260-744e-b876-f3fc3dae1f4d")])
def test_a_header_can_name_the_schema(named: int | UUID) -> None:
    header = struct.pack(">BI", 0, named) if isinstance(named, int) else b"\x01" + named.bytes
    decoder = Decoder(lambda asked: find_schema(SCHEMA_ID) if asked == named else None)
    headers = [("other", b"x"), ("__value_schema_id", header)]
    assert row_of(decoder(None, value_of(AVRO)[5:], headers)) == row_of(decode(AVRO.value))


def test_a_header_can_name_the_schema_of_the_key() -> None:
    assert AVRO.key is not None
    header = ("__key_schema_id", AVRO.key[:5])
    assert Decoder(find_schema).key_fields(AVRO.key[5:], [header]) == Decoder(find_schema).key_fields(
        AVRO.key
    )


@pytest.mark.parametrize("header", [None, b"", b"\x01short", b"\x05\x00\x00\x00\x01"])
def test_a_header_that_names_no_schema_makes_the_value_undecodable(header: bytes | None) -> None:
    decoded = Decoder(find_schema)(None, AVRO.value, [("__value_schema_id", header)])
    assert code_of(decoded) == "undecodable"
    assert Decoder(find_schema).key_fields(AVRO.key, [("__key_schema_id", header)]) is None


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        (b'{"number":"C001"}', {"number": "C001"}),
        (b'{"a":1,"b":9007199254740993}', {"a": 1, "b": 9007199254740993}),
        (b'"C001"', {"": "C001"}),
        (b"5", {"": 5}),
        (b"12345678901234567890123", {"": 12345678901234567890123}),
        (b'{"schema":{"type":"int64","optional":false},"payload":5}', {"": 5}),
        (b'{"schema":null,"payload":{"a":1}}', {"a": 1}),
        (
            KEY_OF_A_DECIMAL,
            {"d": Decimal("-0.01")},
        ),
        (None, None),
        (b"", None),
        (b"null", None),
        (b"[1]", None),
        (b"\xff", None),
        (b"C001", None),
        (b"\x00\x00", None),
        (b"\x00\x00\x00\x00\x63abc", None),
        (b"\x00\x00\x00\x00\x01\xff", None),
        (b'{"schema":{"type":"struct","fields":[]},"payload":5}', None),
        (b"[" * 10_000, None),
    ],
)
def test_a_key_is_read_into_fields_or_not_at_all(key: bytes | None, fields: Any) -> None:
    decoder = Decoder(find_schema)
    for _ in range(2):
        assert decoder.key_fields(key) == fields


@pytest.mark.parametrize(
    ("literal", "exact"),
    [
        ("9007199254740993", 9007199254740993),
        ("18446744073709551616", 18446744073709551616),
        ("-123456789012345678901234567890", -123456789012345678901234567890),
        ("0.1", 0.1),
        ("1e3", 1000.0),
        ("0.1000000000000000055", Decimal("0.1000000000000000055")),
        ("12345678901234567890.12", Decimal("12345678901234567890.12")),
    ],
)
def test_a_number_without_schema_is_not_changed(literal: str, exact: Any) -> None:
    for row in (f'{{"a":{literal}}}', f'{{"a":{literal},"__op":"c"}}'):
        value = event(row) if "__op" not in row else row.encode()
        read = row_of(decode(value))["a"]
        assert (type(read), read) == (type(exact), exact)
    assert row_of(decode(event(f'{{"a":[{{"b":{literal}}}]}}')))["a"][0]["b"] == exact


def test_rows_without_schema_have_one_shape_for_each_set_of_names() -> None:
    decoder = Decoder(find_schema)
    shapes = [
        decoder(None, event(row), ()) for row in ('{"a":1,"b":2}', '{"a":null,"b":"x"}', '{"b":1,"a":2}')
    ]
    first, second, third = (each.shape for each in shapes if isinstance(each, RecordChange))
    assert first is second
    assert first is not third
    assert (first.names, dict(first.kinds), dict(first.readers)) == (("a", "b"), {}, {})


def test_rows_of_a_schema_have_one_shape_whatever_their_message_looks_like() -> None:
    decoder = Decoder(find_schema)
    document = json.loads(value_of(WITH_SCHEMA))
    turned = {"payload": document["payload"], "schema": document["schema"]}
    shapes: list[Shape] = []
    for text in (value_of(WITH_SCHEMA), json.dumps(document).encode(), json.dumps(turned).encode()):
        decoded = decoder(None, text, ())
        assert row_of(decoded) == document["payload"]["after"]
        assert isinstance(decoded, RecordChange)
        shapes.append(decoded.shape)
    assert shapes[0] is shapes[1] is shapes[2]


def test_a_schema_that_names_a_payload_itself_is_not_split_there() -> None:
    field = {"type": "string", "field": "a", "doc": "x", "parameters": {"k": "v", "payload": "w"}}
    row = {"type": "struct", "fields": [field], "field": "after"}
    schema = {"type": "struct", "fields": [row, {"type": "string", "field": "op"}]}
    document = {"schema": schema, "payload": {"before": None, "after": {"a": "1"}, "op": "c"}}
    decoder = Decoder(find_schema)
    for _ in range(2):
        assert row_of(decoder(None, json.dumps(document, separators=(",", ":")).encode(), ())) == {"a": "1"}


def test_a_document_with_more_beside_schema_and_payload_is_no_such_document() -> None:
    decoder = Decoder(find_schema)
    value = value_of(WITH_SCHEMA)
    assert isinstance(decoder(None, value, ()), RecordChange)
    assert code_of(decoder(None, value[:-1] + b',"more":1}', ())) == "undecodable"
    assert code_of(decoder(None, value[:-1] + b"]", ())) == "undecodable"


def test_the_last_of_two_payloads_counts_as_in_any_json() -> None:
    decoder = Decoder(find_schema)
    value = value_of(WITH_SCHEMA)
    prefix, split, payload = value.partition(b',"payload":')
    assert isinstance(decoder(None, value, ()), RecordChange)
    assert isinstance(decoder(None, prefix + split + b"1" + split + payload, ()), RecordChange)


def test_a_placeholder_in_avro_is_not_in_the_change() -> None:
    row = {"type": "record", "name": "Value", "fields": [{"name": "a", "type": "bytes"}]}
    fields = [{"name": "after", "type": row}, {"name": "op", "type": "string"}]
    schema = json.dumps({"type": "record", "name": "Envelope", "fields": fields})
    mark = b"__debezium_unavailable_value"
    value = b"\x00\x00\x00\x00\x01" + bytes((len(mark) * 2,)) + mark + b"\x02u"
    decoded = decode(value, lambda _: schema)
    assert row_of(decoded) == {}
    assert isinstance(decoded, RecordChange)
    assert decoded.shape.names == ()


def test_messages_tell_no_values() -> None:
    secret = base64.b64encode(b"4111 1111").decode()
    for value in (event(f'{{"card":"{secret}"}}')[:-1], f'{{"op":"{secret}","source":{{}}}}'.encode()):
        decoded = decode(value)
        assert isinstance(decoded, Undecodable)
        assert secret not in decoded.message
