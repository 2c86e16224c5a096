"""An error topic full of failures, as workers report them: many repeats of a few, or each of another record."""

from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.changes import Customer, customers
from benchmarks.ground import Ground
from benchmarks.topics import Format, Topic, create, produce
from benchmarks.wire import HEADERS, Message, avro_message, frame
from schemas.codec import Codec
from schemas.events import FAILURE_HEADER, OriginalRecord, Position, RecordReference, SyncFailed, event_key

_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_UNSET = "00000000-0000-0000-0000-000000000000"


def fill_failures(ground: Ground, *, records: int, repeats: int) -> Topic:
    """Fill a topic: each of `records` records fails `repeats` times, in rounds."""
    name = f"bench-failures-{records}x{repeats}"
    print(f"filling a topic: {records:,} failures x {repeats:,}", flush=True)
    create(ground.bootstrap, name, configs={"retention.ms": "-1", "segment.bytes": "268435456"})
    count, size = produce(
        ground.bootstrap, name, ((message, None) for message in _messages(records, repeats))
    )
    return Topic(name, Format.AVRO, count, count, size // count)


def _messages(records: int, repeats: int) -> Iterator[Message]:
    """Yield failures that differ in their id; each record's bytes are written once and the id put into them."""
    codec = Codec()
    if repeats == 1:
        for number, row in _rows(records):
            event = _failed(row, number)
            yield _with_id(event_key(event), codec.encode(event), number)
        return
    events = [_failed(row, number) for number, row in _rows(records)]
    templates = [(event_key(event), codec.encode(event)) for event in events]
    for round_number in range(repeats):
        for number, (key, value) in enumerate(templates):
            yield _with_id(key, value, round_number * records + number)


def _with_id(key: bytes, value: bytes, number: int) -> Message:
    digits = f"{number:032x}"
    failure_id = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()
    assert _UNSET.encode() in value, "the id is not where it can be put in"
    return Message(key, value.replace(_UNSET.encode(), failure_id), [(FAILURE_HEADER, failure_id)])


def _rows(records: int) -> Iterator[tuple[int, Customer]]:
    for number, change in enumerate(customers(records)):
        if number == records:
            return
        yield number, change.row._replace(number=f"C{number:08d}")


def _failed(row: Customer, number: int) -> SyncFailed:
    change = next(customers(1))._replace(row=row, position=number)
    original = avro_message(change, frame(1), frame(2))
    return SyncFailed(
        failure_id=_UNSET,
        mapping="customers",
        direction="forward",
        source=RecordReference("erp", "customers", row.number, f"https://erp.example/customer/{row.number}"),
        target=RecordReference("crm", "customers", row.number),
        category="data",
        code="too_long",
        scope="record",
        parameters={"field": "name", "length": "41", "limit": "40"},
        message="The field name has 41 characters; the column customers.name takes 40.",
        exception_type="StringDataRightTruncation",
        top_frame="connector.write",
        trace=None,
        attempt=1,
        first_failed_at=_WHEN,
        failed_at=_WHEN,
        retry_at=None,
        waits_for=None,
        position=Position("erp.customers", number % 4, number // 4, 1_795_391_876_761),
        original=OriginalRecord(original.key, original.value, tuple(HEADERS)),
        replay_topic="erp-crm.replay",
        replay_id=None,
        worker="bench-1",
        version="0.1.0",
    )
