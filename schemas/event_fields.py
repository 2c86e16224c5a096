"""Events to the plain values of their Avro schemas, and back. Pure.

Written out field by field: at a million events, what looks the fields up at run time costs more than reading them.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.events import (
    Decision,
    Event,
    OriginalRecord,
    Outcome,
    Position,
    RecordReference,
    ReplayRequest,
    Resolution,
    SyncFailed,
    SyncProgress,
    SyncResolved,
)

Fields = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def event_fields(event: Event) -> Fields:
    """Return the fields of an event as Avro writes them."""
    match event:
        case SyncFailed():
            return _failed_fields(event)
        case SyncResolved():
            return _resolved_fields(event)
        case SyncProgress():
            return _progress_fields(event)
        case ReplayRequest():
            return _replay_fields(event)


def _failed_fields(event: SyncFailed) -> Fields:
    return {
        "failure_id": event.failure_id,
        "mapping": event.mapping,
        "direction": event.direction,
        "source": _reference_fields(event.source),
        "target": _reference_fields(event.target),
        "category": event.category,
        "code": event.code,
        "scope": event.scope,
        "parameters": event.parameters,
        "message": event.message,
        "exception_type": event.exception_type,
        "top_frame": event.top_frame,
        "trace": event.trace,
        "attempt": event.attempt,
        "first_failed_at": _micros(event.first_failed_at),
        "failed_at": _micros(event.failed_at),
        "retry_at": None if event.retry_at is None else _micros(event.retry_at),
        "waits_for": None if event.waits_for is None else _reference_fields(event.waits_for),
        "position": None if event.position is None else _position_fields(event.position),
        "original": None if event.original is None else _original_fields(event.original),
        "replay_topic": event.replay_topic,
        "replay_id": event.replay_id,
        "worker": event.worker,
        "version": event.version,
    }


def _resolved_fields(event: SyncResolved) -> Fields:
    return {
        "failure_id": event.failure_id,
        "mapping": event.mapping,
        "direction": event.direction,
        "record_id": event.record_id,
        "how": event.how.value,
        "outcome": None if event.outcome is None else event.outcome.value,
        "replay_id": event.replay_id,
        "position": None if event.position is None else _position_fields(event.position),
        "resolved_at": _micros(event.resolved_at),
        "worker": event.worker,
    }


def _progress_fields(event: SyncProgress) -> Fields:
    return {
        "worker": event.worker,
        "group": event.group,
        "mapping": event.mapping,
        "direction": event.direction,
        "at": _micros(event.at),
        "started_at": _micros(event.started_at),
        "counts": event.counts,
        "lag_records": event.lag_records,
        "paused_code": event.paused_code,
    }


def _replay_fields(event: ReplayRequest) -> Fields:
    return {
        "replay_id": event.replay_id,
        "failure_id": event.failure_id,
        "mapping": event.mapping,
        "direction": event.direction,
        "record_id": event.record_id,
        "decision": event.decision.value,
        "scheduled": event.scheduled,
        "position": _position_fields(event.position),
        "original": None if event.original is None else _original_fields(event.original),
    }


def _reference_fields(reference: RecordReference) -> Fields:
    return {
        "app": reference.app,
        "entity": reference.entity,
        "record_id": reference.record_id,
        "link": reference.link,
    }


def _position_fields(position: Position) -> Fields:
    return {
        "topic": position.topic,
        "partition": position.partition,
        "offset": position.offset,
        "timestamp_ms": position.timestamp_ms,
    }


def _original_fields(original: OriginalRecord) -> Fields:
    headers = [{"name": name, "value": value} for name, value in original.headers]
    return {"key": original.key, "value": original.value, "headers": headers}


def _failed(fields: Fields) -> SyncFailed:
    retry_at = fields["retry_at"]
    return SyncFailed(
        failure_id=fields["failure_id"],
        mapping=fields["mapping"],
        direction=fields["direction"],
        source=RecordReference(**fields["source"]),
        target=RecordReference(**fields["target"]),
        category=fields["category"],
        code=fields["code"],
        scope=fields["scope"],
        parameters=fields["parameters"],
        message=fields["message"],
        exception_type=fields["exception_type"],
        top_frame=fields["top_frame"],
        trace=fields["trace"],
        attempt=fields["attempt"],
        first_failed_at=_instant(fields["first_failed_at"]),
        failed_at=_instant(fields["failed_at"]),
        retry_at=None if retry_at is None else _instant(retry_at),
        waits_for=_reference(fields["waits_for"]),
        position=_position(fields["position"]),
        original=_original(fields["original"]),
        replay_topic=fields["replay_topic"],
        replay_id=fields["replay_id"],
        worker=fields["worker"],
        version=fields["version"],
    )


def _resolved(fields: Fields) -> SyncResolved:
    outcome = fields["outcome"]
    return SyncResolved(
        failure_id=fields["failure_id"],
        mapping=fields["mapping"],
        direction=fields["direction"],
        record_id=fields["record_id"],
        how=Resolution(fields["how"]),
        outcome=None if outcome is None else Outcome(outcome),
        replay_id=fields["replay_id"],
        position=_position(fields["position"]),
        resolved_at=_instant(fields["resolved_at"]),
        worker=fields["worker"],
    )


def _progress(fields: Fields) -> SyncProgress:
    return SyncProgress(
        worker=fields["worker"],
        group=fields["group"],
        mapping=fields["mapping"],
        direction=fields["direction"],
        at=_instant(fields["at"]),
        started_at=_instant(fields["started_at"]),
        counts=fields["counts"],
        lag_records=fields["lag_records"],
        paused_code=fields["paused_code"],
    )


def _replay(fields: Fields) -> ReplayRequest:
    return ReplayRequest(
        replay_id=fields["replay_id"],
        failure_id=fields["failure_id"],
        mapping=fields["mapping"],
        direction=fields["direction"],
        record_id=fields["record_id"],
        decision=Decision(fields["decision"]),
        scheduled=fields["scheduled"],
        position=Position(**fields["position"]),
        original=_original(fields["original"]),
    )


# How each event is made of its Avro fields, by the name of its schema. Raises ValueError where a word is none that is
# known here, OverflowError where a time is beyond the year 9999.
BUILD: Mapping[str, Callable[[Fields], Event]] = {
    "SyncFailed": _failed,
    "SyncResolved": _resolved,
    "SyncProgress": _progress,
    "ReplayRequest": _replay,
}


def _reference(fields: Fields | None) -> RecordReference | None:
    return None if fields is None else RecordReference(**fields)


def _position(fields: Fields | None) -> Position | None:
    return None if fields is None else Position(**fields)


def _original(fields: Fields | None) -> OriginalRecord | None:
    if fields is None:
        return None
    headers = tuple((header["name"], header["value"]) for header in fields["headers"])
    return OriginalRecord(fields["key"], fields["value"], headers)


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
