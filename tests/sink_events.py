"""Events and Kafka records as the sink's tests need them, with defaults."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.codec import Codec
from schemas.events import (
    FAILURE_HEADER,
    REPLAY_HEADER,
    Event,
    OriginalRecord,
    Outcome,
    Position,
    RecordReference,
    Resolution,
    ResolvedBundle,
    SyncFailed,
    SyncProgress,
    SyncResolved,
    event_key,
    failure_id,
)

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
CODEC = Codec()


def at(seconds: float) -> datetime:
    """A moment so many seconds after START."""
    return START + timedelta(seconds=seconds)


def failed(
    record: str = "C001",
    offset: int = 0,
    attempt: int = 1,
    *,
    seconds: float | None = None,
    mapping: str = "customers",
    retry_s: float | None = None,
    replay_id: str | None = None,
    **changes: Any,
) -> SyncFailed:
    """A failure of the change at `offset` of the source topic."""
    moment = at(offset + attempt / 100 if seconds is None else seconds)
    position = Position("erp.customers", 0, offset, 1_700_000_000_000 + offset)
    event = SyncFailed(
        failure_id=failure_id(mapping, position.topic, position.partition, offset, attempt),
        mapping=mapping,
        direction="forward",
        source=RecordReference("erp", "customers", record, f"https://erp.example/{record}"),
        target=RecordReference("crm", "account", record),
        category="data",
        code="too_long",
        scope="record",
        parameters={"field": "name", "limit": "50"},
        message="The value of name is longer than the 50 characters that the target takes.",
        exception_type="StringDataRightTruncation",
        top_frame="worker.connectors.sql.bulk.write",
        trace=None,
        attempt=attempt,
        first_failed_at=moment,
        failed_at=moment,
        retry_at=None if retry_s is None else moment + timedelta(seconds=retry_s),
        waits_for=None,
        position=position,
        original=OriginalRecord(record.encode(), b'{"number":"%s"}' % record.encode(), (("h", b"1"),)),
        replay_topic="erp-crm.replay",
        replay_id=replay_id,
        worker="w1",
        version="0.1.0",
    )
    return replace(event, **changes)


def resolved(
    failure: SyncFailed,
    how: Resolution = Resolution.SUPERSEDED,
    *,
    offset: int | None = None,
    replay_id: str | None = None,
    seconds: float | None = None,
) -> SyncResolved:
    """The end of a failure by the change at `offset`, by default by the failed change itself."""
    if failure.position is None:
        position = None
    else:
        position = failure.position if offset is None else failure.position._replace(offset=offset)
    return SyncResolved(
        failure_id=failure.failure_id,
        mapping=failure.mapping,
        direction=failure.direction,
        record_id=failure.source.record_id,
        how=how,
        outcome=Outcome.MODIFIED,
        replay_id=replay_id,
        position=position,
        resolved_at=failure.failed_at + timedelta(seconds=1) if seconds is None else at(seconds),
        worker="w1",
    )


def progress(
    worker: str = "w1", mapping: str = "customers", *, seconds: float = 0, **changes: Any
) -> SyncProgress:
    """What a worker says every few seconds."""
    event = SyncProgress(
        worker=worker,
        group="erp-crm",
        mapping=mapping,
        direction="forward",
        at=at(seconds),
        started_at=START,
        counts={"inserted": 1},
        lag_records=0,
        paused_code=None,
    )
    return replace(event, **changes)


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """A record as kafka-python hands it over, as far as the sink looks."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = field(default=())
    timestamp: int = 1_700_000_000_000
    topic: str = "instep.errors"
    partition: int = 0


def record(event: Event, offset: int, *, partition: int = 0, header: bool = True) -> KafkaRecord:
    """An event at an offset of the error topic."""
    headers: list[tuple[str, bytes | None]] = []
    if header and isinstance(event, SyncFailed | SyncResolved):
        headers.append((FAILURE_HEADER, event.failure_id.encode()))
        if event.replay_id is not None:
            headers.append((REPLAY_HEADER, event.replay_id.encode()))
    moment = event.failed_at if isinstance(event, SyncFailed) else START
    return KafkaRecord(
        offset,
        event_key(event),
        CODEC.encode(event),
        tuple(headers),
        int(moment.timestamp() * 1000),
        partition=partition,
    )


def bundle(events: Sequence[SyncResolved], offset: int) -> KafkaRecord:
    """Resolutions that travel together, at an offset of the error topic."""
    value = CODEC.encode(ResolvedBundle(tuple(events)))
    return KafkaRecord(offset, None, value, timestamp=int(START.timestamp() * 1000))


def records(events: Sequence[Event], start: int = 0) -> list[KafkaRecord]:
    """Events at consecutive offsets of one partition."""
    return [record(event, start + index) for index, event in enumerate(events)]
