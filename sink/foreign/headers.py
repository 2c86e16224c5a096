"""What the headers of a dead letter say: who set it aside and why, and where it came from. Pure.

Kafka Connect writes text (its `DeadLetterQueueReporter`), Spring Kafka big-endian numbers (`DeadLetterPublishingRecoverer`; with
`@RetryableTopic` under names of its own), Karafka Pro text (`source_…`, before 2.5 `original_…`). In any header may stand
anything: what does not fit is taken for not said.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.events import REPLAY_HEADER, Headers, OriginalRecord

_CONNECT = "__connect.errors."
_SPRING = ("kafka_dlt-", "kafka_")
_SPRING_PREFIXES = (
    "kafka_dlt-",
    "kafka_original-",
    "kafka_exception-",
    "kafka_key-exception-",
    "retry_topic-",
)
_SPRING_NAMES = frozenset({"springDeserializerExceptionKey", "springDeserializerExceptionValue"})
_KARAFKA = ("source_", "original_")
_KARAFKA_PARTS = frozenset({"topic", "partition", "offset", "consumer_group", "attempts", "key", "trace_id"})
_KARAFKA_ALWAYS = ("topic", "partition", "offset", "consumer_group")

_TOPIC = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}", re.ASCII)
_CLASS = re.compile(r"[A-Za-z_][\w.$:]{0,299}", re.ASCII)
_WORD = re.compile(r"[\w.:-]{1,300}")
_REPLAY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_NUMBER = re.compile(rb"[0-9]{1,18}")
_TEXT_BYTES = 4096
_TRACE_BYTES = 65_536
_INT32 = 2**31 - 1
_INT64 = 2**63 - 1


class Program(StrEnum):
    """Who writes a dead letter topic; `plain`: somebody whose headers mean nothing to us."""

    CONNECT = "connect"
    SPRING = "spring"
    KARAFKA = "karafka"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Told:
    """What the headers say; None where they say nothing. `exceptions` are class names, the outermost first.

    `reader` is the connector or consumer group that gave the message up, `replay_id` the replay that it came back from.
    """

    program: Program
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    attempts: int | None = None
    reader: str | None = None
    stage: str | None = None
    exceptions: tuple[str, ...] = ()
    message: str | None = None
    trace: str | None = None
    replay_id: str | None = None


def read_headers(headers: Headers, written_by: Program | None = None) -> Told:
    """Return what the headers say; without `written_by` they also tell who wrote them."""
    program = written_by or _program(headers)
    return _READERS[program](headers)


def original_record(letter: OriginalRecord, program: Program) -> OriginalRecord:
    """Return the message as it was before it was set aside: without what the program and a replay added."""
    ours, key = _added_by(letter.headers, program), letter.key
    if program is Program.KARAFKA and "original_key" in ours:
        # before 2.5 the key of a dead letter was the partition it came from
        key = _first(letter.headers, "original_key") or None
    kept = tuple(
        (name, value) for name, value in letter.headers if name not in ours and name != REPLAY_HEADER
    )
    return OriginalRecord(key, letter.value, kept)


def _program(headers: Headers) -> Program:
    """Who wrote the last of the headers that are known: a message may have been set aside more than once."""
    karafka = _karafka_family(headers)
    for name, _ in reversed(headers):
        if name.startswith(_CONNECT):
            return Program.CONNECT
        if name.startswith(_SPRING_PREFIXES):
            return Program.SPRING
        if karafka is not None and name.startswith(karafka) and name.removeprefix(karafka) in _KARAFKA_PARTS:
            return Program.KARAFKA
    return Program.PLAIN


def _added_by(headers: Headers, program: Program) -> frozenset[str]:
    names = frozenset(name for name, _ in headers)
    match program:
        case Program.CONNECT:
            return frozenset(name for name in names if name.startswith(_CONNECT))
        case Program.SPRING:
            return frozenset(name for name in names if name.startswith(_SPRING_PREFIXES)) | (
                names & _SPRING_NAMES
            )
        case Program.KARAFKA:
            family = _karafka_family(headers)
            return frozenset() if family is None else names & {family + part for part in _KARAFKA_PARTS}
        case Program.PLAIN:
            return frozenset()


def _karafka_family(headers: Headers) -> str | None:
    # the names are common words: only together they are Karafka's
    names = {name for name, _ in headers}
    return next((f for f in _KARAFKA if all(f + part in names for part in _KARAFKA_ALWAYS)), None)


def _connect(headers: Headers) -> Told:
    def text(name: str) -> bytes | None:
        return _last(headers, _CONNECT + name)

    return Told(
        Program.CONNECT,
        topic=_topic(_first(headers, _CONNECT + "topic")),
        partition=_decimal(_first(headers, _CONNECT + "partition"), _INT32),
        offset=_decimal(_first(headers, _CONNECT + "offset"), _INT64),
        reader=_word(text("connector.name")),
        stage=_word(text("stage")),
        exceptions=_classes(text("exception.class.name")),
        message=_text(text("exception.message")),
        trace=_text(text("exception.stacktrace"), _TRACE_BYTES),
        replay_id=_replay_id(headers),
    )


def _spring(headers: Headers) -> Told:
    def first(name: str) -> bytes | None:
        return next((v for prefix in _SPRING if (v := _first(headers, prefix + name)) is not None), None)

    def last(name: str) -> bytes | None:
        return next((v for prefix in _SPRING if (v := _last(headers, prefix + name)) is not None), None)

    def exception(part: str) -> bytes | None:
        value = last(f"exception-{part}")
        return value if value is not None else last(f"key-exception-{part}")

    # counts the attempt that would have come next
    attempts = _binary(_last(headers, "retry_topic-attempts"), _INT32)
    return Told(
        Program.SPRING,
        topic=_topic(first("original-topic")),
        partition=_number(first("original-partition"), 4, _INT32),
        offset=_number(first("original-offset"), 8, _INT64),
        attempts=None if attempts is None else max(1, attempts - 1),
        reader=_word(last("original-consumer-group")),
        exceptions=_classes(exception("fqcn"), last("exception-cause-fqcn")),
        message=_text(exception("message")),
        trace=_text(exception("stacktrace"), _TRACE_BYTES),
        replay_id=_replay_id(headers),
    )


def _karafka(headers: Headers) -> Told:
    family = _karafka_family(headers) or _KARAFKA[0]
    return Told(
        Program.KARAFKA,
        topic=_topic(_first(headers, family + "topic")),
        partition=_decimal(_first(headers, family + "partition"), _INT32),
        offset=_decimal(_first(headers, family + "offset"), _INT64),
        attempts=_decimal(_last(headers, family + "attempts"), _INT32) or None,
        reader=_word(_last(headers, family + "consumer_group")),
        replay_id=_replay_id(headers),
    )


def _plain(headers: Headers) -> Told:
    return Told(Program.PLAIN, replay_id=_replay_id(headers))


_READERS: dict[Program, Callable[[Headers], Told]] = {
    Program.CONNECT: _connect,
    Program.SPRING: _spring,
    Program.KARAFKA: _karafka,
    Program.PLAIN: _plain,
}


def _first(headers: Headers, name: str) -> bytes | None:
    return _of(headers, name)


def _last(headers: Headers, name: str) -> bytes | None:
    return _of(headers[::-1], name)


def _of(headers: Sequence[tuple[str, bytes | None]], name: str) -> bytes | None:
    return next((value for each, value in headers if each == name), None)


def _replay_id(headers: Headers) -> str | None:
    text = _text(_last(headers, REPLAY_HEADER))
    return text if text is not None and _REPLAY_ID.fullmatch(text) else None


def _topic(value: bytes | None) -> str | None:
    text = _text(value)
    return text if text is not None and _TOPIC.fullmatch(text) else None


def _word(value: bytes | None) -> str | None:
    text = _text(value)
    return text if text is not None and _WORD.fullmatch(text) else None


def _classes(*values: bytes | None) -> tuple[str, ...]:
    texts = [_text(value) for value in values]
    return tuple(text for text in texts if text is not None and _CLASS.fullmatch(text))


def _text(value: bytes | None, limit: int = _TEXT_BYTES) -> str | None:
    return None if value is None else value[:limit].decode("utf-8", "replace")


def _decimal(value: bytes | None, greatest: int) -> int | None:
    if value is None or not _NUMBER.fullmatch(value):
        return None
    number = int(value)
    return number if number <= greatest else None


def _number(value: bytes | None, size: int, greatest: int) -> int | None:
    """Return a number in big-endian bytes, or in digits, as other libraries write it into the same header."""
    found = _decimal(value, greatest)
    return found if found is not None or value is None or len(value) != size else _binary(value, greatest)


def _binary(value: bytes | None, greatest: int) -> int | None:
    if value is None or not 1 <= len(value) <= 8:
        return None
    number = int.from_bytes(value, "big", signed=True)
    return number if 0 <= number <= greatest else None
