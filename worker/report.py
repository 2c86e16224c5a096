"""Step 7: failures and resolutions become events, none larger than the broker takes. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from string import Formatter
from urllib.parse import quote

from schemas.catalogue import Scope, catalogue
from schemas.events import (
    ALL_MAPPINGS,
    Event,
    Outcome,
    Position,
    RecordReference,
    Resolution,
    SyncFailed,
    SyncResolved,
    event_key,
    failure_id,
)
from worker.decide import OpenFailure
from worker.fault import Fault
from worker.message import Message, original_of, position_of
from worker.plan import MappingPlan, Row
from worker.translate import message_record_id, record_id

MAX_MESSAGE_BYTES = 2048
MAX_TRACE_BYTES = 8192
# what the broker adds to a record: batch and record headers, our own header, the key
OVERHEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports: what every event of this worker says about it."""

    worker: str
    version: str
    replay_topic: str


def failed_event(
    mapping: MappingPlan,
    message: Message,
    key: Row,
    target_key: Row,
    fault: Fault,
    failure: OpenFailure,
    replay_id: str | None,
    now: datetime,
    reporter: Reporter,
) -> SyncFailed:
    """Return the event for one failed change; `failure` is its row in the state store."""
    code = catalogue()[fault.code]
    parameters = {name: str(value) for name, value in fault.parameters.items()}
    return SyncFailed(
        failure_id=failure.failure_id,
        mapping=mapping.name,
        direction=mapping.direction,
        source=_reference(
            mapping.source_app, mapping.source_entity, mapping.source_key, key, mapping.source_link
        )
        if key
        else RecordReference(mapping.source_app, mapping.source_entity, message_record_id(message)),
        target=_reference(
            mapping.target_app, mapping.target_entity, mapping.target_key, target_key, mapping.target_link
        ),
        category=code.category,
        code=code.name,
        scope=code.scope,
        parameters=parameters,
        message=message_of(fault),
        exception_type=fault.exception_type,
        top_frame=fault.top_frame,
        trace=_shorten(fault.trace, MAX_TRACE_BYTES) if fault.trace else None,
        attempt=failure.attempt,
        first_failed_at=failure.first_failed_at,
        failed_at=now,
        retry_at=retry_at(fault.code, failure.attempt, now),
        waits_for=None,
        position=position_of(message),
        original=original_of(message),
        replay_topic=reporter.replay_topic,
        replay_id=replay_id,
        worker=reporter.worker,
        version=reporter.version,
    )


def app_failed_event(
    app: str, fault: Fault, since: datetime, attempt: int, now: datetime, reporter: Reporter
) -> SyncFailed:
    """Return the one event that says that a whole app is broken since some time."""
    code = catalogue()[fault.code]
    parameters = {name: str(value) for name, value in fault.parameters.items()}
    return SyncFailed(
        failure_id=app_failure_id(app, since, attempt, reporter),
        mapping=ALL_MAPPINGS,
        direction="forward",
        source=RecordReference("", "", app),
        target=RecordReference(app, "", ""),
        category=code.category,
        code=code.name,
        scope=Scope.APP,
        parameters=parameters,
        message=message_of(fault),
        exception_type=fault.exception_type,
        top_frame=fault.top_frame,
        trace=_shorten(fault.trace, MAX_TRACE_BYTES) if fault.trace else None,
        attempt=attempt,
        first_failed_at=since,
        failed_at=now,
        retry_at=None,
        waits_for=None,
        position=None,
        original=None,
        replay_topic=reporter.replay_topic,
        replay_id=None,
        worker=reporter.worker,
        version=reporter.version,
    )


def app_failure_id(app: str, since: datetime, attempt: int, reporter: Reporter) -> str:
    """Return the id of an app's failure, as this worker saw it."""
    return failure_id(
        f"{ALL_MAPPINGS}:{app}", reporter.worker, 0, int(since.timestamp() * 1_000_000), attempt
    )


def resolved_event(
    mapping: str,
    direction: str,
    record: str,
    failure: str,
    how: Resolution,
    outcome: Outcome | None,
    replay_id: str | None,
    position: Position | None,
    now: datetime,
    reporter: Reporter,
) -> SyncResolved:
    """Return the event that says that a failure is over."""
    return SyncResolved(
        failure, mapping, direction, record, how, outcome, replay_id, position, now, reporter.worker
    )


def retry_at(code: str, attempt: int, now: datetime) -> datetime | None:
    """Return when the sink shall try a failed change again; None after its last try, or where trying again is of no use."""
    schedule = catalogue()[code].retry.schedule_s
    return now + timedelta(seconds=schedule[attempt - 1]) if attempt <= len(schedule) else None


def fit(event: SyncFailed, encode: Callable[[Event], bytes], limit_bytes: int) -> SyncFailed:
    """Return the event, cut down until the broker takes it: first the trace, then the message, then the payload goes."""
    room = limit_bytes - OVERHEAD_BYTES - len(event_key(event))
    steps: tuple[Callable[[SyncFailed], SyncFailed], ...] = (
        lambda each: each,
        lambda each: replace(each, trace=_shorten(each.trace, 1024) if each.trace else None),
        lambda each: replace(each, trace=None, message=_shorten(each.message, 512)),
        lambda each: replace(each, original=None),
    )
    for step in steps:
        event = step(event)
        if len(encode(event)) <= room:
            break
    return event


def _reference(app: str, entity: str, names: tuple[str, ...], key: Row, link: str | None) -> RecordReference:
    fields = {name: str(value) for name, value in zip(names, key, strict=False)}
    return RecordReference(app, entity, record_id(key) if key else "", _expand(link, fields))


def _expand(link: str | None, fields: Mapping[str, str]) -> str | None:
    """Return a link with its `{field}`s filled in, quoted for a URL; None where a field is not known."""
    if link is None:
        return None
    parts = []
    for literal, name, _, _ in Formatter().parse(link):
        parts.append(literal)
        if name is not None:
            if name not in fields:
                return None
            parts.append(quote(fields[name], safe=""))
    return "".join(parts)


def message_of(fault: Fault) -> str:
    """Return what is to be said of a fault: the catalogue's sentence, and what the other app said, if that adds to it."""
    parameters = {name: str(value) for name, value in fault.parameters.items()}
    text = catalogue()[fault.code].message.format_map(_Unknown(parameters))
    adds = fault.detail and fault.detail not in text
    return _shorten(f"{text} {fault.detail}" if adds else text, MAX_MESSAGE_BYTES)


class _Unknown(dict[str, str]):
    """Parameters of a message, of which some may not be known."""

    def __missing__(self, name: str) -> str:
        return f"({name})"


def _shorten(text: str, limit_bytes: int) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return text
    return data[: limit_bytes - 3].decode("utf-8", "ignore") + "…"
