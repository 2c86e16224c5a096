"""A desk that works on the store itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from plumbing.codec import open_codec
from schemas.config.model import Config
from schemas.events import OriginalRecord
from sink import actions, reimport
from sink.actions import Actor, Restored, Wish, clearable
from sink.archive import open_archive
from sink.archive_folder import new_archive
from sink.desk.desk import Chosen, ClearDone, ClearPlan, EntryDetail, EntryPage, Message, Progress, Unreadable
from sink.desk.groups import DirectGroups, GroupDesk
from sink.desk.jobs import DirectJobs, JobDesk
from sink.desk.selection import (
    Selection,
    over_before,
    read_cursor,
    read_filter,
    selected_ids,
    whole_ids,
    write_cursor,
)
from sink.foreign.letter import letter_readers
from sink.reimport import Reimported
from sink.states import Verdict
from sink.store.entries import (
    PAGE,
    Entry,
    Filter,
    Tally,
    count_entries,
    page_key,
    read_all,
    read_original,
    read_page,
    read_replays,
)
from sink.store.quarantine import Place, Quarantined, read_quarantine
from sink.store.replays import read_verdicts
from sink.store.store import Store
from sink.store.transitions import Step


class DirectDesk:
    """What one person sees and does on a store; raises what StoreAway lists when the store is away."""

    def __init__(
        self,
        store: Store,
        actor: Actor,
        config: Config,
        clock_us: Callable[[], int] = actions.now_us,
    ) -> None:
        self.replay_timeout_s = float(config.sink.replay_timeout_s)
        self.jobs: JobDesk = DirectJobs(store, actor, config)
        self.groups: GroupDesk = DirectGroups(store, actor, clock_us)
        self._store = store
        self._actor = actor
        self._config = config
        self._clock_us = clock_us

    def list_entries(self, selection: Selection, *, limit: int, after: str | None) -> EntryPage:
        """Return a page of entries, the last failed first."""
        start = None if after is None else read_cursor(after)
        with self._store.reading() as connection:
            wanted = read_filter(connection, selection, self._clock_us())
            if wanted.ids:
                wanted = replace(wanted, ids=tuple(whole_ids(connection, wanted.ids)))
            page = read_page(connection, wanted, after=start, limit=limit + 1)
        entries = page[:limit]
        return EntryPage(entries, write_cursor(page_key(entries[-1])) if len(page) > limit else None)

    def all_entries(self, selection: Selection) -> Iterator[Entry]:
        """Yield every entry that is selected, the last failed first."""
        with self._store.reading() as connection:
            yield from read_all(connection, read_filter(connection, selection, self._clock_us()))

    def show_entry(self, typed_id: str, *, with_message: bool) -> EntryDetail | None:
        """Return one entry, by an id of which the first digits suffice."""
        with self._store.reading() as connection:
            (entry_id,) = whole_ids(connection, [typed_id])
            found = read_page(connection, Filter(ids=(entry_id,)), limit=1)
            if not found:
                return None
            replays = read_replays(connection, entry_id)
            original = read_original(connection, found[0].payload_id)
        size = None if original is None else len(original.value or b"")
        message = as_text(original) if original is not None and with_message else None
        return EntryDetail(found[0], replays, size, message)

    def choose(self, selection: Selection) -> Chosen:
        """Return the entries that an action on a selection works on."""
        with self._store.reading() as connection:
            ids = selected_ids(connection, selection, self._clock_us())
            tallies = count_entries(connection, Filter(ids=tuple(ids))) if ids else []
        return Chosen(ids, tallies)

    def act(self, ids: Sequence[str], wish: Wish, on_progress: Progress) -> list[Step]:
        """Replay, resolve or discard entries."""
        return actions.act(self._store, ids, wish, self._actor, on_progress)

    def verdicts(self, replay_ids: Sequence[str]) -> dict[str, tuple[Verdict, str | None]]:
        """Return the verdicts that have come in for these replays, with the code of a new failure."""
        with self._store.reading() as connection:
            return read_verdicts(connection, replay_ids)

    def plan_clear(self, selection: Selection, archive: str | None, *, include_open: bool) -> ClearPlan:
        """Return what `clear` would delete; `archive` None: a new file in the archive folder."""
        wanted = self._clearable(selection, include_open=include_open)
        return ClearPlan(archive or self.new_archive(), self._tallies(wanted))

    def clear(
        self, selection: Selection, archive: str, *, include_open: bool, newest_us: int | None
    ) -> ClearDone:
        """Archive entries, then delete them; raises ArchiveError before anything is deleted."""
        wanted = self._clearable(selection, include_open=include_open)
        if newest_us is not None:
            wanted = replace(wanted, failed_before_us=newest_us + 1)
        cleared = actions.clear(self._store, wanted, Path(archive), self._actor)
        kept_in = None if cleared.archive is None else archive
        return ClearDone(kept_in, cleared.deleted, cleared.changed, cleared.unsent)

    def check_archive(self, archive: str) -> int:
        """Return how many entries an archive holds; raises ArchiveError when it is not whole."""
        return open_archive(Path(archive)).entries

    def restore(self, archive: str) -> Restored:
        """Bring the entries of an archive back; raises ArchiveError when it is not whole."""
        return actions.restore(self._store, Path(archive), self._actor)

    def quarantine(self) -> Iterator[Unreadable]:
        """Yield the messages of the error topic that could not be read."""
        last: Place | None = None
        while True:
            with self._store.reading() as connection:
                page = read_quarantine(connection, after=last, limit=PAGE)
            yield from map(as_unreadable, page)
            if len(page) < PAGE:
                return
            last = page[-1].place

    def reimport(self) -> Reimported:
        """Read the messages in quarantine again."""
        with ExitStack() as closing:
            codec = open_codec(self._config.kafka, closing)
            letters = letter_readers(self._config.sink.foreign)
            return reimport.reimport(self._store, codec, letters, self._clock_us())

    def _tallies(self, wanted: Filter) -> list[Tally]:
        if not wanted.states:
            return []
        with self._store.reading() as connection:
            return count_entries(connection, wanted)

    def _clearable(self, selection: Selection, *, include_open: bool) -> Filter:
        moment = self._clock_us()
        with self._store.reading() as connection:
            wanted = read_filter(connection, selection, moment, closed_too=True)
        # for what is closed, age counts from its closing
        aged = replace(
            wanted, failed_before_us=None, over_before_us=over_before(selection.older_than, moment)
        )
        return clearable(aged, include_open=include_open)

    def new_archive(self) -> str:
        """Return a new name for an archive in the archive folder."""
        return str(new_archive(self._config))


def as_text(original: OriginalRecord) -> Message:
    """Return a message as text; bytes that are no text are escaped."""
    key, value = (
        None if part is None else part.decode("utf-8", "backslashreplace")
        for part in (original.key, original.value)
    )
    return Message(key, value)


def as_unreadable(message: Quarantined) -> Unreadable:
    """Return what a surface shows of a message in quarantine."""
    return Unreadable(
        id=message.id,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        reason=message.reason,
        newer=message.newer,
        bytes=len(message.value or b""),
    )
