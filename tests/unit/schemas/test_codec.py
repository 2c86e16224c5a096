import json
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro_schemas import EVENT_NAMES, schema_text
from schemas.codec import Codec, Unreadable
from schemas.events import Decision, Event, OriginalRecord, Position, ReplayRequest, SyncResolved
from schemas.framing import Confluent, confluent_prefix, single_object_prefix
from tests.unit.schemas.events import events, resolved

IDS = {name: number for number, name in enumerate(EVENT_NAMES, 7)}
TEXTS = {number: schema_text(name) for name, number in IDS.items()}

PLAIN = Codec()
FRAMED = Codec(framing=Confluent(IDS, TEXTS.get))


def unreadable(codec: Codec, data: bytes) -> Unreadable:
    found = codec.decode(data)
    assert isinstance(found, Unreadable)
    return found


def written(schema: Any, fields: object, prefix: bytes | None = None) -> bytes:
    parsed = parse_schema(schema)
    stream = BytesIO()
    stream.write(single_object_prefix(parsed) if prefix is None else prefix)
    schemaless_writer(stream, parsed, fields)
    return stream.getvalue()


def grown_schema() -> Any:
    schema = json.loads(schema_text("SyncResolved"))
    schema["fields"].append({"name": "mood", "type": "string", "default": "good"})
    return schema


@given(events)
def test_what_is_encoded_is_decoded(event: Event) -> None:
    assert PLAIN.decode(PLAIN.encode(event)) == event


@given(events)
def test_what_is_encoded_for_a_registry_is_decoded(event: Event) -> None:
    assert FRAMED.decode(FRAMED.encode(event)) == event


@given(events)
def test_with_a_registry_both_framings_are_read(event: Event) -> None:
    assert FRAMED.decode(PLAIN.encode(event)) == event


@given(events)
def test_the_kind_stands_in_the_first_bytes(event: Event) -> None:
    assert PLAIN.kind(PLAIN.encode(event)[:10]) is type(event)
    assert FRAMED.kind(FRAMED.encode(event)[:5]) is type(event)


def test_the_framing_is_that_of_the_avro_specification() -> None:
    assert PLAIN.encode(resolved())[:2] == b"\xc3\x01"
    assert FRAMED.encode(resolved())[:5] == bytes([0, 0, 0, 0, IDS["SyncResolved"]])


def test_the_fingerprint_is_that_of_the_java_library() -> None:
    # org.apache.avro.SchemaNormalization.parsingFingerprint64 of "int" is 0x7275d51a3f395c8f
    assert single_object_prefix("int") == b"\xc3\x01" + (0x7275D51A3F395C8F).to_bytes(8, "little")


def test_an_id_that_another_worker_registered_is_looked_up_once() -> None:
    asked: list[int] = []

    def find_schema(schema_id: int) -> str:
        asked.append(schema_id)
        return schema_text("SyncResolved")

    codec = Codec(framing=Confluent(IDS, find_schema))
    data = confluent_prefix(99) + PLAIN.encode(resolved())[10:]
    assert [codec.decode(data), codec.decode(data)] == [resolved(), resolved()]
    assert codec.kind(data) is SyncResolved
    assert asked == [99]


def test_a_schema_that_is_not_in_the_registry_yet_is_asked_for_again() -> None:
    texts: dict[int, str] = {}
    codec = Codec(framing=Confluent(IDS, texts.get))
    data = confluent_prefix(99) + PLAIN.encode(resolved())[10:]
    assert "no schema" in unreadable(codec, data).reason
    texts[99] = schema_text("SyncResolved")
    assert codec.decode(data) == resolved()


def test_a_registry_that_is_away_is_not_hidden() -> None:
    def find_schema(_: int) -> str:
        raise ConnectionError

    codec = Codec(framing=Confluent(IDS, find_schema))
    with pytest.raises(ConnectionError):
        codec.decode(confluent_prefix(99))


def test_without_a_registry_its_framing_is_unreadable() -> None:
    assert "no registry is configured" in unreadable(PLAIN, FRAMED.encode(resolved())).reason


def test_a_newer_schema_is_told_as_newer() -> None:
    fields = {"mood": "bad", "failure_id": "f", "mapping": "m", "direction": "forward", "record_id": "r"}
    fields |= {"how": "replay", "worker": "w"}
    data = written(grown_schema(), {**fields, "resolved_at": 0})
    assert unreadable(PLAIN, data).newer
    assert PLAIN.kind(data) is None


def test_a_newer_schema_in_the_registry_is_told_as_newer() -> None:
    codec = Codec(framing=Confluent(IDS, {99: json.dumps(grown_schema())}.get))
    assert unreadable(codec, confluent_prefix(99) + b"\x00").newer


def older(number: int = 0) -> bytes:
    """A request of the first version, which knew no corrections."""
    schema = json.loads(schema_text("ReplayRequest", 1))
    position = {"topic": "t", "partition": 1, "offset": 2, "timestamp_ms": 3}
    original = {"key": b"k", "value": None, "headers": [{"name": "h", "value": b"v"}]}
    names = {"replay_id": "p", "failure_id": "f", "mapping": "m", "direction": "forward", "record_id": "r"}
    asked = {"decision": "retry", "scheduled": True, "position": position, "original": original}
    return written(schema, {**names, **asked}) + bytes(number)


def test_an_event_of_an_older_schema_is_read_as_one_of_ours() -> None:
    assert PLAIN.decode(older()) == ReplayRequest(
        replay_id="p",
        failure_id="f",
        mapping="m",
        direction="forward",
        record_id="r",
        decision=Decision.RETRY,
        scheduled=True,
        position=Position("t", 1, 2, 3),
        original=OriginalRecord(b"k", None, (("h", b"v"),)),
        corrections=None,
    )


def test_an_event_of_an_older_schema_that_is_cut_or_too_long_is_unreadable() -> None:
    assert not unreadable(PLAIN, older()[:-1]).newer
    assert not unreadable(PLAIN, older(1)).newer


@pytest.mark.parametrize("text", ['"string"', "{", "[]", '{"type": "record", "name": "Other", "fields": []}'])
def test_a_schema_of_someone_else_is_unreadable_and_not_newer(text: str) -> None:
    codec = Codec(framing=Confluent(IDS, {99: text}.get))
    assert not unreadable(codec, confluent_prefix(99) + b"\x00").newer


def test_a_word_that_is_not_known_here_is_told_as_newer() -> None:
    encoded = PLAIN.encode(resolved())
    assert encoded.count(b"superseded") == 1
    assert unreadable(PLAIN, encoded.replace(b"superseded", b"superceded")).newer


def test_a_time_beyond_the_year_9999_is_unreadable() -> None:
    fields = {"failure_id": "f", "mapping": "m", "direction": "forward", "record_id": "r", "how": "replay"}
    schema = json.loads(schema_text("SyncResolved"))
    unreadable(PLAIN, written(schema, {**fields, "worker": "w", "resolved_at": 2**62}))


def test_text_that_utf_8_cannot_hold_is_written_with_backslashes() -> None:
    strange, written = "a\ud800b", "a\\ud800b"
    event = resolved(record_id=strange)._replace(position=Position(strange, 1, 2, 3))
    assert PLAIN.decode(PLAIN.encode(event)) == event._replace(
        record_id=written, position=Position(written, 1, 2, 3)
    )


@pytest.mark.parametrize("length", range(5))
def test_less_than_a_schema_id_asks_no_registry(length: int) -> None:
    codec = Codec(framing=Confluent(IDS, lambda _: pytest.fail("the registry was asked")))
    assert not unreadable(codec, bytes(length)).newer


@given(events, st.data())
def test_a_truncated_message_is_unreadable(event: Event, data: st.DataObject) -> None:
    encoded = PLAIN.encode(event)
    unreadable(PLAIN, encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(events, st.binary(min_size=1))
def test_more_bytes_than_the_schema_says_are_unreadable(event: Event, more: bytes) -> None:
    assert not unreadable(PLAIN, PLAIN.encode(event) + more).newer


@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable(data: bytes) -> None:
    unreadable(PLAIN, data)
    unreadable(FRAMED, data)


@given(events, st.binary(max_size=200))
def test_random_bytes_behind_a_known_prefix_raise_nothing(event: Event, data: bytes) -> None:
    PLAIN.decode(PLAIN.encode(event)[:10] + data)


@given(events, st.data())
def test_a_damaged_message_raises_nothing(event: Event, data: st.DataObject) -> None:
    encoded = bytearray(PLAIN.encode(event))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    PLAIN.decode(bytes(encoded))
