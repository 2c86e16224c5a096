"""Step 7: failures and resolutions become events, none larger than the broker takes. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from string import Formatter
from urllib.parse import quote

from schemas.catalogue import Scope, catalogue
from schemas.events import (
    ALL_MAPPINGS,
    Event,
    RecordReference,
    Resolution,
    SyncFailed,
    SyncResolved,
    event_key,
    failure_id,
)
from worker.decide import OpenFailure
from worker.fault import Fault
from worker.message import original_of, position_of
from worker.plan import MappingPlan, Row
from worker.translate import Broken, Candidate, record_id

Change = Candidate | Broken

MAX_MESSAGE_BYTES = 2048
MAX_TRACE_BYTES = 8192
# longer ones no browser opens
MAX_LINK_CHARACTERS = 2000
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
    change: Change,
    fault: Fault,
    failure: OpenFailure,
    now: datetime,
    reporter: Reporter,
) -> SyncFailed:
    """Return the event for one failed change; `failure` is its row in the state store."""
    target_key = change.target_key if isinstance(change, Candidate) else ()
    event = _event(fault, failure.first_failed_at, now, reporter)
    return replace(
        event,
        failure_id=failure.failure_id,
        mapping=mapping.name,
        direction=mapping.direction,
        source=RecordReference(
            mapping.source_app,
            mapping.source_entity,
            failure.record_id,
            _expand(mapping.source_link, mapping.source_key, change.key),
        ),
        target=RecordReference(
            mapping.target_app,
            mapping.target_entity,
            record_id(target_key) if target_key else "",
            _expand(mapping.target_link, mapping.target_key, target_key),
        ),
        attempt=failure.attempt,
        retry_at=retry_at(fault.code, failure.attempt, now),
        position=position_of(change.message),
        original=original_of(change.message),
        replay_id=change.replay.replay_id if change.replay is not None else None,
    )


def app_failed_event(
    app: str, fault: Fault, since: datetime, attempt: int, now: datetime, reporter: Reporter
) -> SyncFailed:
    """Return the one event that says that a whole app is broken since some time."""
    return replace(
        _event(fault, since, now, reporter),
        failure_id=app_failure_id(app, since, attempt, reporter),
        source=RecordReference("", "", app),
        target=RecordReference(app, "", ""),
        scope=Scope.APP,
        attempt=attempt,
    )


def app_works_event(app: str, failure_id: str, now: datetime, reporter: Reporter) -> SyncResolved:
    """Return the event that ends an app's failure."""
    return SyncResolved(
        failure_id=failure_id,
        mapping=ALL_MAPPINGS,
        direction="forward",
        record_id=app,
        how=Resolution.RELEASED,
        outcome=None,
        replay_id=None,
        position=None,
        resolved_at=now,
        worker=reporter.worker,
    )


def _event(fault: Fault, first_failed_at: datetime, now: datetime, reporter: Reporter) -> SyncFailed:
    """Return what every failure says; whose it is comes on top."""
    code = catalogue()[fault.code]
    return SyncFailed(
        failure_id="",
        mapping=ALL_MAPPINGS,
        direction="forward",
        source=RecordReference("", "", ""),
        target=RecordReference("", "", ""),
        category=code.category,
        code=code.name,
        scope=code.scope,
        parameters={name: str(value) for name, value in fault.parameters.items()},
        message=message_of(fault),
        exception_type=fault.exception_type,
        top_frame=fault.top_frame,
        trace=_shorten(fault.trace, MAX_TRACE_BYTES) if fault.trace else None,
        attempt=1,
        first_failed_at=first_failed_at,
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


def _expand(link: str | None, names: tuple[str, ...], key: Row) -> str | None:
    """Return a link with its `{field}`s filled in, quoted for a URL; None where a field is not known, or it gets too long."""
    if link is None:
        return None
    fields = {name: str(value) for name, value in zip(names, key, strict=False)}
    parts = []
    for literal, name, _, _ in Formatter().parse(link):
        parts.append(literal)
        if name is not None:
            if name not in fields:
                return None
            parts.append(quote(fields[name], safe=""))
    expanded = "".join(parts)
    return expanded if len(expanded) <= MAX_LINK_CHARACTERS else None


def message_of(fault: Fault) -> str:
    """Return what is to be said of a fault: the catalogue's sentence, and what the other app said, if that adds to it."""
    text = catalogue()[fault.code].say(fault.parameters)
    adds = fault.detail and fault.detail not in text
    return _shorten(f"{text} {fault.detail}" if adds else text, MAX_MESSAGE_BYTES)


def _shorten(text: str, limit_bytes: int) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return text
    return data[: limit_bytes - 3].decode("utf-8", "ignore") + "…"
