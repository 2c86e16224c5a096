"""Events to the plain values of their Avro schemas, and back. Pure.

The schemas have the very fields of the events, in the same order: only what Avro has no word for is put in its place.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from schemas.events import (
    Bundle,
    Decision,
    Event,
    OriginalRecord,
    Outcome,
    Position,
    RecordReference,
    ReplayBundle,
    ReplayRequest,
    Resolution,
    ResolvedBundle,
    SyncFailed,
    SyncProgress,
    SyncResolved,
)

Fields = dict[str, Any]
_T = TypeVar("_T")
_W = TypeVar("_W", bound=StrEnum)

_OF_ALL_RESOLVED = ("mapping", "direction", "how", "outcome", "resolved_at", "worker")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def event_fields(event: Event | Bundle) -> Fields:
    """Return the fields of an event as Avro writes them; of a bundle, which ends with its events, all but these."""
    match event:
        case ResolvedBundle(events):
            return _resolved_bundle_fields(events)
        case ReplayBundle(events):
            return _replay_bundle_fields(events)
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


def _resolved_bundle_fields(events: Sequence[SyncResolved]) -> Fields:
    """Return what the events of a bundle share; they themselves are written by schemas.bundle_items."""
    shared = events[0]
    fields = _resolved_fields(shared)
    return {name: fields[name] for name in _OF_ALL_RESOLVED} | {
        "topic": "" if shared.position is None else shared.position.topic,
        "failures": [],
    }


def _replay_bundle_fields(events: Sequence[ReplayRequest]) -> Fields:
    shared = events[0]
    return {
        "mapping": shared.mapping,
        "direction": shared.direction,
        "decision": shared.decision.value,
        "scheduled": shared.scheduled,
        "topic": shared.position.topic,
        "requests": [],
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


class UnknownWordError(Exception):
    """An event has a word or a time that is not known here."""


def _resolved(
    failure_id: str,
    mapping: str,
    direction: str,
    record_id: str,
    how: str,
    outcome: str | None,
    replay_id: str | None,
    position: Position | None,
    resolved_at: datetime,
    worker: str,
) -> SyncResolved:
    became = None if outcome is None else _word(Outcome, outcome)
    ended = _word(Resolution, how)
    about = (failure_id, mapping, direction, record_id)
    return SyncResolved(*about, ended, became, replay_id, position, resolved_at, worker)


def _replay(
    replay_id: str,
    failure_id: str,
    mapping: str,
    direction: str,
    record_id: str,
    decision: str,
    *rest: Any,
) -> ReplayRequest:
    return ReplayRequest(
        replay_id, failure_id, mapping, direction, record_id, _word(Decision, decision), *rest
    )


def _resolved_bundle(
    mapping: str,
    direction: str,
    how: str,
    outcome: str | None,
    topic: str,
    resolved_at: datetime,
    worker: str,
    failures: Sequence[tuple[str, str, str | None, int, int, int]],
) -> ResolvedBundle:
    became = None if outcome is None else _word(Outcome, outcome)
    ended = _word(Resolution, how)
    return ResolvedBundle(
        tuple(
            SyncResolved(
                failure_id,
                mapping,
                direction,
                record_id,
                ended,
                became,
                replay_id,
                Position(topic, partition, offset, timestamp_ms),
                resolved_at,
                worker,
            )
            for failure_id, record_id, replay_id, partition, offset, timestamp_ms in failures
        )
    )


def _replay_bundle(
    mapping: str,
    direction: str,
    decision: str,
    scheduled: bool,
    topic: str,
    requests: Sequence[tuple[str, str, str, int, int, int, OriginalRecord | None]],
) -> ReplayBundle:
    decided = _word(Decision, decision)
    return ReplayBundle(
        tuple(
            ReplayRequest(
                replay_id,
                failure_id,
                mapping,
                direction,
                record_id,
                decided,
                scheduled,
                Position(topic, partition, offset, timestamp_ms),
                original,
            )
            for replay_id, failure_id, record_id, partition, offset, timestamp_ms, original in requests
        )
    )


def _word(words: type[_W], word: str) -> _W:
    try:
        return words(word)
    except ValueError:
        raise UnknownWordError from None


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(micros: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise UnknownWordError from None


# What is made of the values of each record and of each logical type. Raises UnknownWordError where a word is none that is known
# here, or a time is beyond the year 9999.
MAKE: Mapping[str, Callable[..., Any]] = {
    "instep.SyncFailed": SyncFailed,
    "instep.SyncResolved": _resolved,
    "instep.SyncProgress": SyncProgress,
    "instep.ReplayRequest": _replay,
    "instep.ResolvedBundle": _resolved_bundle,
    "instep.ReplayBundle": _replay_bundle,
    "instep.BundledResolution": tuple,
    "instep.BundledRequest": tuple,
    "instep.RecordReference": RecordReference,
    "instep.Position": Position,
    "instep.OriginalRecord": OriginalRecord,
    "instep.Header": tuple,
    "instep.Header[]": tuple,
    "timestamp-micros": _instant,
}
