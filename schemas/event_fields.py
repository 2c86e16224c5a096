"""Events to the plain values of their Avro schemas, and back. Pure.

The schemas have the very fields of the events, in the same order: only what Avro has no word for is put in its place, in
the fields as they were read.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

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
_T = TypeVar("_T")

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
        "waits_for": _optional("instep.RecordReference", event.waits_for, _reference_fields),
        "position": _optional("instep.Position", event.position, _position_fields),
        "original": _optional("instep.OriginalRecord", event.original, _original_fields),
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
        "position": _optional("instep.Position", event.position, _position_fields),
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
        "original": _optional("instep.OriginalRecord", event.original, _original_fields),
        "corrections": event.corrections,
    }


def _optional(name: str, value: _T | None, fields_of: Callable[[_T], Fields]) -> tuple[str, Fields] | None:
    """Return the branch of a union by its name: fastavro then need not find it by trying them all."""
    return None if value is None else (name, fields_of(value))


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
    fields["source"] = RecordReference(**fields["source"])
    fields["target"] = RecordReference(**fields["target"])
    fields["first_failed_at"] = _instant(fields["first_failed_at"])
    fields["failed_at"] = _instant(fields["failed_at"])
    if fields["retry_at"] is not None:
        fields["retry_at"] = _instant(fields["retry_at"])
    if fields["waits_for"] is not None:
        fields["waits_for"] = RecordReference(**fields["waits_for"])
    _build_source(fields)
    return SyncFailed(**fields)


def _resolved(fields: Fields) -> SyncResolved:
    fields["how"] = Resolution(fields["how"])
    if fields["outcome"] is not None:
        fields["outcome"] = Outcome(fields["outcome"])
    if fields["position"] is not None:
        fields["position"] = Position(**fields["position"])
    fields["resolved_at"] = _instant(fields["resolved_at"])
    return SyncResolved(**fields)


def _progress(fields: Fields) -> SyncProgress:
    fields["at"] = _instant(fields["at"])
    fields["started_at"] = _instant(fields["started_at"])
    return SyncProgress(**fields)


def _replay(fields: Fields) -> ReplayRequest:
    fields["decision"] = Decision(fields["decision"])
    _build_source(fields)
    return ReplayRequest(**fields)


def _build_source(fields: Fields) -> None:
    """Put the message that a change came in, and where it stands, in place of their fields."""
    if fields["position"] is not None:
        fields["position"] = Position(**fields["position"])
    original = fields["original"]
    if original is not None:
        headers = tuple([(header["name"], header["value"]) for header in original["headers"]])
        fields["original"] = OriginalRecord(original["key"], original["value"], headers)


# How each event is made of its Avro fields, by the name of its schema. Raises ValueError where a word is none that is
# known here, OverflowError where a time is beyond the year 9999.
BUILD: Mapping[str, Callable[[Fields], Event]] = {
    "SyncFailed": _failed,
    "SyncResolved": _resolved,
    "SyncProgress": _progress,
    "ReplayRequest": _replay,
}


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
