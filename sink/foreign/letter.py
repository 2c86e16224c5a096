"""A message of a dead letter topic as the failure of a record. Pure.

An entry stands for one message key of one original topic. A key of other bytes is another record, however it is written: text that
had to be changed or cut carries a part of the hash.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson

from schemas.catalogue import catalogue
from schemas.config.process import ForeignTopicConfig
from schemas.events import OriginalRecord, Position, RecordReference, SyncFailed, failure_id, record_key
from schemas.scrub import HIDDEN, scrub
from sink.console.inert import inert
from sink.foreign.headers import Program, Told, original_record, read_headers

_NAMES = {
    Program.CONNECT: "Kafka Connect",
    Program.SPRING: "Spring Kafka",
    Program.KARAFKA: "Karafka",
}
_CONVERTERS = frozenset({"KEY_CONVERTER", "VALUE_CONVERTER", "HEADER_CONVERTER"})
# Kafka Connect's word for any exception, which is no lost connection
_CONNECT_ERROR = "org.apache.kafka.connect.errors.ConnectException"
_KINDS = (
    (
        "dead_letter_undecodable",
        re.compile(
            r"Deseriali[sz]|Serializ|Pars[ei]|Json|Avro|Proto[Bb]uf|Decod|Malformed|Unmarshal|MessageConversion"
        ),
    ),
    (
        "dead_letter_refused",
        re.compile(
            r"Constraint|Integrity|Valid|Invalid|IllegalArgument|DuplicateKey|Truncation|OutOfRange|BadRequest|NotFound|Unprocessable"
        ),
    ),
    (
        "dead_letter_unavailable",
        re.compile(
            r"Time(d)?[Oo]ut|Connect(ion|Exception)|Unavailable|Ret(ri|ry)able|Throttl|TooManyRequests|Socket|UnknownHost"
            r"|Transient|Disconnect|CallNotPermitted"
        ),
    ),
)
_CAUSED_BY = re.compile(r"^Caused by: ([A-Za-z_][\w.$]{0,299})", re.ASCII | re.MULTILINE)
_FRAME = re.compile(r"^[ \t]{1,8}at ([\w.$<>/@-]{1,300})\(([\w.$ :-]{0,200})\)", re.ASCII | re.MULTILINE)
_FRAMES_KEPT = 40
_TOKEN = re.compile(r"\w+")
_VALUES_BYTES = 1 << 18
_LONGEST_ID = 200
_HASH_DIGITS = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_000


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the key of its entry, who wrote it, when, and the failure that it tells."""

    key: bytes
    origin: str
    at_ms: int
    failure: SyncFailed


def read_letter(message: Any, topic: ForeignTopicConfig) -> Letter:
    """Return what a message (as the Kafka client hands it over) of a dead letter topic tells; whatever it holds."""
    headers = tuple(message.headers)
    told = read_headers(headers, None if topic.written_by == "auto" else Program(topic.written_by))
    original = OriginalRecord(message.key, message.value, headers)
    at_ms = min(max(message.timestamp, 0), _LATEST_MS)
    position = Position(message.topic, message.partition, message.offset, at_ms)
    failure = _failure(told, original, position, topic)
    key = record_key(failure.mapping, failure.direction, failure.source.record_id)
    return Letter(key, str(told.program), at_ms, failure)


def letter_readers(topics: Iterable[ForeignTopicConfig]) -> dict[str, Callable[[Any], Letter]]:
    """Return, by the names of dead letter topics, what reads their messages."""
    return {each.topic: partial(read_letter, topic=each) for each in topics}


def _failure(
    told: Told, original: OriginalRecord, position: Position, topic: ForeignTopicConfig
) -> SyncFailed:
    code, parameters = catalogue()[_code(told)], _parameters(told)
    place = {} if told.topic is None else {"place": _place(told)}
    moment = _EPOCH + timedelta(milliseconds=position.timestamp_ms)
    record_id = _record_id(told, original, position)
    return SyncFailed(
        failure_id=failure_id(topic.mapping, position.topic, position.partition, position.offset, 1),
        mapping=topic.mapping,
        direction=told.topic or position.topic,
        source=RecordReference(topic.mapping, told.topic or "", record_id),
        target=RecordReference(told.reader or "", "", record_id if told.reader else ""),
        category=code.category,
        code=code.name,
        scope=code.scope,
        parameters=parameters,
        message=_with_detail(code.say(parameters | place), told, original),
        exception_type=told.exceptions[-1] if told.exceptions else None,
        top_frame=_top_frame(told),
        trace=_trace(told),
        attempt=told.attempts or 1,
        first_failed_at=moment,
        failed_at=moment,
        retry_at=None,
        waits_for=None,
        position=position,
        original=original,
        replay_topic=topic.replay_to or told.topic or "",
        replay_id=told.replay_id,
        worker=told.reader or told.program,
        version="",
    )


def _code(told: Told) -> str:
    """The innermost exception tells most: the others only carry it."""
    if told.stage in _CONVERTERS:
        return "dead_letter_undecodable"
    for name in reversed((*told.exceptions, *_CAUSED_BY.findall(told.trace or ""))):
        if name == _CONNECT_ERROR:
            continue
        for code, kind in _KINDS:
            if kind.search(_simple(name)):
                return code
    return "dead_letter"


def _parameters(told: Told) -> dict[str, str]:
    """What makes causes differ; where the message stood is none of it, as each stood elsewhere."""
    known = {
        "program": _NAMES.get(told.program),
        "topic": told.topic,
        "stage": told.stage,
        "exception": _simple(told.exceptions[-1]) if told.exceptions else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _place(told: Told) -> str:
    parts = [f"topic {told.topic}"]
    if told.partition is not None:
        parts.append(f"partition {told.partition}")
    if told.offset is not None:
        parts.append(f"offset {told.offset}")
    return ", ".join(parts)


def _record_id(told: Told, original: OriginalRecord, position: Position) -> str:
    key = original_record(original, told.program).key
    if key is not None:
        return _key_text(key)
    if told.topic is not None and told.partition is not None and told.offset is not None:
        return f"{told.topic}-{told.partition}-{told.offset}"
    return f"{position.topic}-{position.partition}-{position.offset}"


def _key_text(key: bytes) -> str:
    exact = key[: 4 * _LONGEST_ID].decode("utf-8", "backslashreplace")
    text = inert(exact)[:_LONGEST_ID]
    if text.encode() == key and HIDDEN not in text and text:
        return text
    return f"{text}{HIDDEN}{hashlib.sha256(key).hexdigest()[:_HASH_DIGITS]}"


def _with_detail(said: str, told: Told, original: OriginalRecord) -> str:
    detail = _scrubbed(told.message or "", original)
    return f"{said} It says: {detail}" if detail.strip(f" .:;,{HIDDEN}") else said


def _scrubbed(message: str, original: OriginalRecord) -> str:
    """The first line without what stands in quotes, without numbers, and without the words that the message holds too."""
    held = _held_words(original)
    if held is None:
        return ""
    return _TOKEN.sub(lambda word: HIDDEN if word[0].casefold() in held else word[0], inert(scrub(message)))


def _held_words(original: OriginalRecord) -> frozenset[str] | None:
    """The words of all values that came with a message, None where they are too many to look through."""
    parts = [original.key or b"", original.value or b"", *(value or b"" for _, value in original.headers)]
    if sum(map(len, parts[:2])) > _VALUES_BYTES:
        return None
    texts = [text for part in parts[:2] for text in _values(part)]
    return frozenset(word.casefold() for text in texts for word in _TOKEN.findall(text))


def _values(part: bytes) -> Iterator[str]:
    """The texts in a key or value: of JSON those of its values, as the names of its fields may be said."""
    try:
        waiting = [orjson.loads(part)]
    except orjson.JSONDecodeError:
        yield part.decode("utf-8", "replace")
        return
    while waiting:
        match waiting.pop():
            case dict() as fields:
                waiting.extend(fields.values())
            case list() as items:
                waiting.extend(items)
            case str() as text:
                yield text


def _trace(told: Told) -> str | None:
    """The names of exceptions and functions; what the exceptions say may hold values."""
    frames = [f"at {name}({place})" for name, place in _FRAME.findall(told.trace or "")[:_FRAMES_KEPT]]
    causes = [f"Caused by: {name}" for name in _CAUSED_BY.findall(told.trace or "")[:_FRAMES_KEPT]]
    return "\n".join([*told.exceptions[:1], *frames, *causes]) if frames or causes else None


def _top_frame(told: Told) -> str | None:
    found = _FRAME.search(told.trace or "")
    return None if found is None else found[1]


def _simple(name: str) -> str:
    return re.split(r"[.:$]", name)[-1] or name
