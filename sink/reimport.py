"""Quarantined messages once more, for when this program can read what an older one could not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection

from schemas.codec import Codec
from sink.batch import Batch, EntryEvents, ReadLetter
from sink.store.halves import write_in_halves
from sink.store.portions import BYTES_AT_ONCE
from sink.store.progress import write_progress
from sink.store.quarantine import Place, Quarantined, keys_left_behind, read_quarantine, remove
from sink.store.store import Store
from sink.store.write_batch import write_entries

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Reimported:
    """`imported` messages are out of quarantine and in their entries, `kept` ones cannot be read yet or wait behind such a one."""

    imported: int
    kept: int


def reimport(
    store: Store, codec: Codec, letters: Mapping[str, ReadLetter], now_us: int, *, newer_only: bool = False
) -> Reimported:
    """Read the messages in quarantine again, in the order of their topics; raises what StoreAway lists.

    `letters` reads those of dead letter topics: the database refused them once.
    """
    imported = kept = 0
    last: Place | None = None
    while True:
        with store.writing() as connection:
            page = read_quarantine(
                connection,
                after=last,
                limit=_PAGE,
                newer_only=newer_only,
                lock=True,
                most_bytes=BYTES_AT_ONCE,
            )
            if not page:
                return Reimported(imported, kept)
            last = page[-1].place
            batch, readable = _read(codec, letters, page)
            refused = _write(connection, batch, now_us)
            done = [message for message in readable if message.id not in refused]
            # what may end a failure that stays here stays behind it
            ends = _ends(batch)
            keys = {key for ended in ends.values() for key in ended}
            mine = [message.id for message in done]
            waiting = keys_left_behind(connection, mine, keys, last, newer_only=newer_only) if keys else set()
            done = [message for message in done if waiting.isdisjoint(ends.get(message.id, ()))]
            write_progress(connection, batch.latest_progress())
            remove(connection, [message.id for message in done])
        imported += len(done)
        kept += len(page) - len(done)


def _write(connection: Connection, batch: Batch, now_us: int) -> set[int]:
    """Write the entries; returns the ids of the messages that the database still refuses."""
    refused: set[int] = set()

    def write(some: Sequence[EntryEvents]) -> None:
        write_entries(connection, batch, some, now_us, all_failures=True)

    def refuse(events: EntryEvents, _: str) -> None:
        refused.update(heard.message.id for heard in events.heard)

    write_in_halves(connection, list(batch.entries()), write, refuse)
    return refused


def _read(
    codec: Codec, letters: Mapping[str, ReadLetter], page: Sequence[Quarantined]
) -> tuple[Batch, list[Quarantined]]:
    trial = _gather(codec, {}, [message for message in page if message.topic not in letters])
    for heard in (each for events in trial.heard.values() for each in events):
        trial.decode(heard)
    trial.latest_progress()
    unread = {unread.message.id for unread in trial.unread}
    readable = [message for message in page if message.id not in unread]
    return _gather(codec, letters, readable), readable


def _ends(batch: Batch) -> dict[int, set[bytes]]:
    """Return the keys of the failures that messages end, by the ids of these: a bundle ends several."""
    ends: dict[int, set[bytes]] = {}
    for key, heard in batch.heard.items():
        for each in heard:
            if not each.failed:
                ends.setdefault(each.message.id, set()).add(key)
    return ends


def _gather(codec: Codec, letters: Mapping[str, ReadLetter], messages: Sequence[Quarantined]) -> Batch:
    batch = Batch(codec, keep_values=True, letters=letters)
    for topic, some in groupby(messages, attrgetter("topic")):
        batch.add((topic, 0), list(some), None, -1)
    return batch
