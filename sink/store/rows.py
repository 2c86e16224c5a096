"""Entries and messages as rows of their tables."""

import base64
import hashlib
from functools import lru_cache
from typing import Any

import orjson

from schemas.events import OriginalRecord, Position, RecordReference, SyncFailed
from sink.fold import Attempt, Closing, Folded, Standing
from sink.groups import GROUPING_VERSION
from sink.moment import to_us
from sink.store.tables import entry

ENTRY_COLUMNS = tuple(column.name for column in entry.columns)
NOTED_COLUMNS = ("id", "row_version", "state", "count", "attempts", "replay_id")
CLOSED_COLUMNS = (
    *NOTED_COLUMNS,
    "resolved_by",
    "outcome",
    "closed_us",
    "closed_by",
    "reason",
    "ages_from_us",
    "failed_replays",
)

_NUL = "\x00"
_LONGEST_NAME = 400


def entry_row(
    entry_id: str,
    key: bytes,
    folded: Folded,
    standing: Standing,
    failure: SyncFailed,
    payload_id: str | None,
    *,
    origin: str,
    group_id: str,
) -> tuple[Any, ...]:
    """Return the whole row of an entry that shows a new failure, in the order of ENTRY_COLUMNS; `row_version` is 0."""
    source = failure.source
    return (
        entry_id,
        clean(key.decode()),
        *(name(failure.mapping), name(failure.direction), name(source.record_id)),
        str(standing.state),
        0,
        standing.count,
        *(name(failure.category), name(failure.code), name(failure.scope)),
        clean(failure.message),
        clean(orjson.dumps(dict(failure.parameters)).decode()),
        clean(standing.failure_id),
        failure.attempt,
        attempts_text(standing.attempts),
        standing.first_failed_us,
        to_us(failure.failed_at),
        None if failure.retry_at is None else to_us(failure.retry_at),
        _reference_text(failure.waits_for),
        *(name(source.app), name(source.entity), _cleaned(source.link)),
        *_place(failure.position),
        *_target(failure.target),
        *(_cleaned(failure.exception_type), _cleaned(failure.top_frame), _cleaned(failure.trace)),
        *(name(failure.worker), name(failure.version), clean(failure.replay_topic)),
        payload_id,
        standing.replay_id,
        *_closing(folded.closing),
        *(group_id, GROUPING_VERSION, standing.failed_replays, origin),
    )


def noted_row(entry_id: str, row_version: int, standing: Standing) -> tuple[Any, ...]:
    """Return what changes on an entry that shows the same failure as before, in the order of NOTED_COLUMNS."""
    return (
        entry_id,
        row_version,
        str(standing.state),
        standing.count,
        attempts_text(standing.attempts),
        standing.replay_id,
    )


def closed_row(entry_id: str, row_version: int, standing: Standing, folded: Folded) -> tuple[Any, ...]:
    """Return what changes on an entry that an event closed, in the order of CLOSED_COLUMNS."""
    noted = noted_row(entry_id, row_version, standing)
    return (*noted, *_closing(folded.closing), standing.failed_replays)


def payload_row(original: OriginalRecord, now_us: int) -> tuple[str, bytes | None, bytes | None, str, int]:
    """Return the row of a message, with the hash of its bytes as id."""
    headers = headers_text(original.headers)
    digest = hashlib.sha256(headers.encode())
    for part in (original.key, original.value):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.hexdigest(), original.key, original.value, headers, now_us


def attempts_text(attempts: tuple[Attempt, ...]) -> str:
    """Return the last failures as JSON."""
    return clean(orjson.dumps([tuple(attempt) for attempt in attempts]).decode())


def read_attempts(text: str) -> tuple[Attempt, ...]:
    """Return the last failures from JSON."""
    return tuple(Attempt(*each) for each in orjson.loads(text))


# most changes of a topic have the same ones
@lru_cache(maxsize=16)
def headers_text(headers: tuple[tuple[str, bytes | None], ...]) -> str:
    """Return message headers as JSON, their values in base64."""
    if not headers:
        return "[]"
    listed = [[key, None if value is None else base64.b64encode(value).decode()] for key, value in headers]
    return clean(orjson.dumps(listed).decode())


def read_headers(text: str) -> tuple[tuple[str, bytes | None], ...]:
    """Return message headers from JSON."""
    if text == "[]":
        return ()
    return tuple(
        (key, None if value is None else base64.b64decode(value)) for key, value in orjson.loads(text)
    )


def clean(value: str) -> str:
    """Return text that PostgreSQL takes: without NUL."""
    return value.replace(_NUL, "\ufffd") if _NUL in value else value


def name(value: str) -> str:
    """Return a name short enough for an index; a record's exact id stays in the entry's key."""
    if len(value) > _LONGEST_NAME:
        value = value[: _LONGEST_NAME - 1] + "…"
    return clean(value) if _NUL in value else value


def _place(position: Position | None) -> tuple[Any, ...]:
    if position is None:
        return None, None, None, None
    return clean(position.topic), position.partition, position.offset, position.timestamp_ms


def _target(target: RecordReference) -> tuple[Any, ...]:
    return name(target.app), name(target.entity), name(target.record_id), _cleaned(target.link)


def _closing(closing: Closing | None) -> tuple[Any, ...]:
    """resolved_by, outcome, closed_us, closed_by, reason, ages_from_us."""
    if closing is None:
        return None, None, None, None, None, None
    return str(closing.how), closing.outcome, closing.at_us, None, None, closing.at_us


def _cleaned(value: str | None) -> str | None:
    return None if value is None else clean(value)


def _reference_text(reference: RecordReference | None) -> str | None:
    if reference is None:
        return None
    return clean(
        orjson.dumps(
            {"app": reference.app, "entity": reference.entity, "record_id": reference.record_id}
        ).decode()
    )
