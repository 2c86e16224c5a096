from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import OriginalRecord
from sink.foreign.headers import Program, Told, original_record, read_headers
from tests.dead_letters import OWN, STACKTRACE, Header, connect, karafka, spring, spring_retry_topic

NAMES = [name for name, _ in (*connect(), *spring(), *spring_retry_topic(), *karafka(), *karafka("original"))]
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | st.text(), st.none() | st.binary() | st.sampled_from([b"1", b"orders"])
    ),
    max_size=20,
).map(tuple)
REPLAY_ID = "123e4567-e89b-42d3-a456-426614174000"


def test_connect_is_read_by_its_headers() -> None:
    assert read_headers(OWN + connect()) == Told(
        Program.CONNECT,
        topic="orders",
        partition=2,
        offset=42,
        reader="jdbc-orders",
        stage="TASK_PUT",
        exceptions=("org.postgresql.util.PSQLException",),
        message="record of Alice cannot be written",
        trace=STACKTRACE.decode(),
    )


def test_spring_is_read_by_its_headers() -> None:
    assert read_headers(OWN + spring()) == Told(
        Program.SPRING,
        topic="orders",
        partition=2,
        offset=42,
        reader="billing",
        exceptions=(
            "org.springframework.kafka.listener.ListenerExecutionFailedException",
            "java.lang.IllegalStateException",
        ),
        message="Listener failed; nested exception for Alice",
        trace=STACKTRACE.decode(),
    )


def test_spring_retry_topics_name_their_headers_otherwise_and_count_attempts() -> None:
    told = read_headers(OWN + spring_retry_topic())
    assert (told.program, told.topic, told.partition, told.offset) == (Program.SPRING, "orders", 2, 42)
    assert (told.attempts, told.reader) == (3, "billing")
    assert told.exceptions[-1] == "java.net.SocketTimeoutException"


def test_spring_numbers_in_digits_are_read_too() -> None:
    digits = (("kafka_dlt-original-partition", b"1234"), ("kafka_dlt-original-offset", b"12345678"))
    told = read_headers(digits)
    assert (told.partition, told.offset) == (1234, 12_345_678)


def test_exception_of_a_key_is_read_where_the_value_has_none() -> None:
    told = read_headers(
        (("kafka_dlt-key-exception-fqcn", b"shop.KeyError"), ("kafka_dlt-key-exception-message", b"k"))
    )
    assert (told.exceptions, told.message) == (("shop.KeyError",), "k")


@pytest.mark.parametrize("family", ["source", "original"])
def test_karafka_is_read_by_its_headers(family: str) -> None:
    assert read_headers(OWN + karafka(family)) == Told(
        Program.KARAFKA, topic="orders", partition=2, offset=42, attempts=3, reader="billing"
    )


def test_one_header_that_karafka_uses_too_is_not_karafka() -> None:
    assert read_headers((("source_topic", b"orders"), ("original_key", b"1"))).program is Program.PLAIN


def test_message_without_known_headers_is_plain() -> None:
    assert read_headers(OWN) == Told(Program.PLAIN)


def test_program_that_wrote_last_is_the_one() -> None:
    assert read_headers(spring() + connect()).program is Program.CONNECT
    assert read_headers(connect() + spring()).program is Program.SPRING


def test_program_that_is_configured_is_not_guessed() -> None:
    assert read_headers(connect(), Program.PLAIN) == Told(Program.PLAIN)


def test_first_origin_and_last_exception_count_where_headers_stand_twice() -> None:
    told = read_headers(
        spring(topic=b"orders", cause=b"a.First") + spring(topic=b"orders.retry", cause=b"a.Last")
    )
    assert (told.topic, told.exceptions[-1]) == ("orders", "a.Last")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("topic", b"../etc"),
        ("topic", b"x" * 250),
        ("topic", b".."),
        ("topic", b"<script>"),
        ("topic", b""),
        ("topic", None),
        ("partition", b"-1"),
        ("partition", b"99999999999"),
        ("partition", "²".encode()),
        ("offset", b"1e3"),
        ("connector.name", b"a b\n"),
        ("connector.name", b"\xff\xfe"),
    ],
)
def test_what_does_not_fit_is_not_said(name: str, value: bytes | None) -> None:
    whole: dict[str, bytes | None] = dict(connect())
    told = read_headers(tuple((whole | {f"__connect.errors.{name}": value}).items()))
    part = "reader" if name == "connector.name" else name
    assert getattr(told, part) is None


def test_negative_numbers_are_not_said() -> None:
    told = read_headers(
        (("kafka_dlt-original-partition", pack(">i", -1)), ("kafka_dlt-original-offset", pack(">q", -1)))
    )
    assert (told.partition, told.offset) == (None, None)


def test_replay_that_it_came_back_from_is_told() -> None:
    for headers in (connect(), spring(), karafka(), ()):
        assert read_headers((("instep-replay", REPLAY_ID.encode()), *headers)).replay_id == REPLAY_ID
    assert read_headers((("instep-replay", b"'; DROP TABLE"),)).replay_id is None


@pytest.mark.parametrize(
    ("added", "program"),
    [
        (connect(), Program.CONNECT),
        (spring(), Program.SPRING),
        (spring_retry_topic(), Program.SPRING),
        (karafka(), Program.KARAFKA),
    ],
)
def test_original_message_has_its_own_headers_alone(added: tuple[Header, ...], program: Program) -> None:
    replayed = (("instep-replay", REPLAY_ID.encode()),)
    letter = OriginalRecord(b"4711", b"value", OWN + added + replayed)
    assert original_record(letter, program) == OriginalRecord(b"4711", b"value", OWN)


def test_key_that_karafka_moved_into_a_header_is_back() -> None:
    letter = OriginalRecord(b"2", b"value", OWN + karafka("original"))
    assert original_record(letter, Program.KARAFKA) == OriginalRecord(b"4711", b"value", OWN)


def test_headers_of_the_program_before_stay_with_the_message() -> None:
    letter = OriginalRecord(b"k", None, spring() + connect())
    assert original_record(letter, Program.CONNECT).headers == spring()


@given(HEADERS, st.none() | st.sampled_from(Program))
def test_any_headers_are_read(headers: tuple[Header, ...], program: Program | None) -> None:
    told = read_headers(headers, program)
    assert told.program is (program or told.program)
    assert original_record(OriginalRecord(b"k", None, headers), told.program).value is None
