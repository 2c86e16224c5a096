from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import catalogue
from schemas.config.process import ForeignTopicConfig
from schemas.events import SyncFailed
from sink.console.inert import inert
from sink.foreign.letter import read_letter
from sink.store.rows import name
from tests.dead_letters import OWN, Header, Message, connect, karafka, spring, spring_retry_topic
from tests.unit.sink.foreign.test_headers import HEADERS

TOPIC = ForeignTopicConfig(topic="orders.dlq", mapping="orders-letters")
MESSAGE = Message()


def failure(message: Message = MESSAGE, topic: ForeignTopicConfig = TOPIC) -> SyncFailed:
    return read_letter(message, topic).failure


def with_headers(*headers: Header) -> Message:
    return replace(MESSAGE, headers=OWN + headers)


def test_letter_stands_for_its_key_in_its_original_topic() -> None:
    letter = read_letter(with_headers(*connect()), TOPIC)
    assert letter.key == b'["orders-letters","orders","4711"]'
    assert letter.origin == "connect"
    source, target, position = letter.failure.source, letter.failure.target, letter.failure.position
    assert (source.app, source.entity, source.record_id) == ("orders-letters", "orders", "4711")
    assert target.app == "jdbc-orders"
    assert position is not None
    assert (position.topic, position.partition, position.offset) == ("orders.dlq", 1, 7)


def test_letter_that_says_nothing_stands_in_its_dead_letter_topic() -> None:
    letter = read_letter(MESSAGE, TOPIC)
    assert letter.key == b'["orders-letters","orders.dlq","4711"]'
    assert (letter.failure.code, letter.failure.replay_topic) == ("dead_letter", "")


def test_letter_without_a_key_is_named_by_where_its_message_stood() -> None:
    assert failure(replace(with_headers(*connect()), key=None)).source.record_id == "orders-2-42"
    assert failure(replace(MESSAGE, key=None)).source.record_id == "orders.dlq-1-7"


def test_id_of_a_failure_depends_on_its_place_alone() -> None:
    first = failure(with_headers(*connect())).failure_id
    assert failure(replace(MESSAGE, key=b"other")).failure_id == first
    assert failure(replace(MESSAGE, offset=8)).failure_id != first
    assert failure(replace(MESSAGE, partition=2)).failure_id != first


def test_replay_goes_to_the_original_topic_unless_configured() -> None:
    assert failure(with_headers(*spring())).replay_topic == "orders"
    elsewhere = TOPIC.model_copy(update={"replay_to": "orders.again"})
    assert failure(with_headers(*spring()), elsewhere).replay_topic == "orders.again"


def test_key_that_karafka_moved_into_a_header_names_the_record() -> None:
    assert failure(replace(with_headers(*karafka("original")), key=b"2")).source.record_id == "4711"


def test_attempts_and_the_reader_are_told() -> None:
    told = failure(with_headers(*spring_retry_topic()))
    assert (told.attempt, told.worker) == (3, "billing")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (connect(stage=b"VALUE_CONVERTER"), "dead_letter_undecodable"),
        (connect(exception=b"org.apache.kafka.connect.errors.ConnectException")[:-1], "dead_letter"),
        (connect(exception=b"java.net.ConnectException")[:-1], "dead_letter_unavailable"),
        (connect(exception=b"java.sql.SQLIntegrityConstraintViolationException")[:-1], "dead_letter_refused"),
        (connect(), "dead_letter_undecodable"),  # its trace says that a SerializationException caused it
        (spring(cause=b"shop.OrderValidationException")[:3], "dead_letter_refused"),
        (
            spring(cause=b"org.springframework.kafka.support.serializer.DeserializationException")[:3],
            "dead_letter_undecodable",
        ),
        (spring_retry_topic()[:-4], "dead_letter_unavailable"),
        (karafka(), "dead_letter"),
    ],
)
def test_exception_tells_the_code(headers: tuple[Header, ...], code: str) -> None:
    told = failure(with_headers(*headers))
    assert (told.code, told.category) == (code, catalogue()[code].category)


def test_neither_values_nor_quotes_nor_numbers_are_told() -> None:
    message = b'field city of Alice (smith) is "secret", see 12345'
    headers = (*connect()[:-2], ("__connect.errors.exception.message", message), connect()[-1])
    told = failure(with_headers(*headers))
    for text in (told.message, told.trace or "", str(told.parameters)):
        for hidden in ("Alice", "smith", "Smith", "secret", "12345"):
            assert hidden not in text
    assert "field city of" in told.message


def test_words_of_a_message_that_is_no_json_are_hidden() -> None:
    message = replace(with_headers(*connect()), value=b"\x00\x00\x00\x00\x05\x0aAlice\x02")
    assert "Alice" not in failure(message).message


def test_text_of_an_exception_is_left_out_where_the_message_is_large() -> None:
    message = replace(with_headers(*connect()), value=b"x" * (1 << 19))
    assert "It says" not in failure(message).message


def test_trace_keeps_names_and_places() -> None:
    told = failure(with_headers(*connect()))
    assert told.top_frame == "io.confluent.connect.avro.AvroConverter.toConnectData"
    assert (told.trace or "").splitlines()[
        -1
    ] == "Caused by: org.apache.kafka.common.errors.SerializationException"


def test_parameters_do_not_say_where_the_message_stood() -> None:
    assert set(failure(with_headers(*connect())).parameters) == {"program", "topic", "stage", "exception"}


@pytest.mark.parametrize(
    "key", [b"\x1b[31mred", b"a" * 5000, b"", b"\xff\x00", "\u202eabc".encode(), "a…b".encode()]
)
def test_id_of_a_record_is_inert_short_and_of_one_key(key: bytes) -> None:
    record_id = failure(replace(MESSAGE, key=key)).source.record_id
    assert record_id == inert(record_id) == name(record_id)
    assert record_id != failure(replace(MESSAGE, key=record_id.encode())).source.record_id


def test_moment_that_is_no_moment_is_bounded() -> None:
    for timestamp in (-1, -(2**63), 2**63 - 1):
        assert 1970 <= failure(replace(MESSAGE, timestamp=timestamp)).failed_at.year <= 9999


def test_hostile_trace_is_read_quickly() -> None:
    headers = (*connect()[:-1], ("__connect.errors.exception.stacktrace", b"\n \t" * 400_000))
    assert failure(with_headers(*headers)).trace is None


@given(
    st.none() | st.binary(max_size=300),
    st.none() | st.binary(max_size=300) | st.text().map(str.encode),
    HEADERS,
    st.integers(-(2**63), 2**63 - 1),
)
def test_any_message_is_a_letter(
    key: bytes | None, value: bytes | None, headers: tuple[Header, ...], timestamp: int
) -> None:
    letter = read_letter(Message(key=key, value=value, headers=headers, timestamp=timestamp), TOPIC)
    assert letter.key.decode()
    assert letter.failure.code in catalogue()
    assert len(letter.failure.message) < 2000
