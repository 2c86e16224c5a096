"""Steps that the contract tests of the sink's store share."""

from collections.abc import Sequence

from schemas.events import Event
from sink.batch import Batch
from sink.moment import to_us
from sink.store.entries import Entry, Filter, read_all
from sink.store.positions import read_positions
from sink.store.store import Store
from sink.store.transitions import Request, Step, request_replays
from sink.store.write_batch import Fenced, Written, decode_batch, write_batch
from tests.sink_events import CODEC, KafkaRecord, at, records

TOPIC = "instep.errors"
NOW = to_us(at(10_000))


def ingest(
    store: Store, messages: Sequence[KafkaRecord], *, start: int | None = None, high_water: int = -1
) -> Written | Fenced:
    batch = Batch(CODEC)
    batch.add((TOPIC, messages[0].partition), messages, start, high_water)
    return write_batch(store, decode_batch(batch, NOW), NOW)


def told(store: Store, *events: Event) -> Written:
    """Ingest events behind what was ingested before."""
    with store.reading() as connection:
        place = read_positions(connection, TOPIC).get((TOPIC, 0))
    start = None if place is None else place.position
    written = ingest(store, records(events, start or 0), start=start)
    assert isinstance(written, Written)
    return written


def entries(store: Store, wanted: Filter | None = None) -> list[Entry]:
    with store.reading() as connection:
        return list(read_all(connection, wanted or Filter()))


def only(store: Store) -> Entry:
    (entry,) = entries(store)
    return entry


def request(actor: str = "ann", *, scheduled: bool = False) -> Request:
    numbers = iter(range(1, 10_000))
    return Request(actor, NOW, lambda _: f"{actor}-{next(numbers)}", scheduled=scheduled, reason="because")


def replayed(store: Store, *ids: str, asks: Request | None = None) -> list[Step]:
    with store.writing() as connection:
        return request_replays(connection, ids, asks or request())
