"""What a surface can see and do, whichever way it reaches the entries."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sink.actions import Restored, Wish
from sink.desk.groups import GroupDesk
from sink.desk.jobs import JobDesk
from sink.desk.selection import Selection
from sink.reimport import Reimported
from sink.states import Verdict
from sink.store.entries import Entry, Replay, Tally
from sink.store.transitions import Step

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries, the last failed first, and where the next page begins; None: there is none."""

    entries: list[Entry]
    after: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """The message of a change as text; bytes that are no text are escaped."""

    key: str | None
    value: str | None


@dataclass(frozen=True, slots=True)
class EntryDetail:
    """All that is known of an entry. `message_bytes` is None where no message is kept; `message` where it was not asked for."""

    entry: Entry
    replays: list[Replay]
    message_bytes: int | None
    message: Message | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The entries that an action works on, as they are at this moment, and how many they are by state and category."""

    ids: list[str]
    tallies: list[Tally]


@dataclass(frozen=True, slots=True)
class ClearPlan:
    """What `clear` would delete, by state and category, and the archive that would hold it."""

    archive: str
    tallies: list[Tally]

    @property
    def newest_us(self) -> int | None:
        """When the newest of them last failed, None when there is none."""
        return max((tally.last_failed_us for tally in self.tallies), default=None)


@dataclass(frozen=True, slots=True)
class ClearDone:
    """What `clear` did: `archive` is None when nothing was deleted; `changed` and `unsent` ones were left alone."""

    archive: str | None
    deleted: int
    changed: int
    unsent: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message in quarantine."""

    id: int
    topic: str
    partition: int
    offset: int
    reason: str
    newer: bool
    bytes: int


class Desk(Protocol):
    """Reads and actions. Everything raises WrongUse for what makes no sense, UnreachableError when nobody answers.

    `replay_timeout_s` is how long the sink itself waits for the answer to a replay; `jobs` are its replay jobs,
    `groups` the groups of its entries.
    """

    jobs: JobDesk
    groups: GroupDesk

    @property
    def replay_timeout_s(self) -> float: ...  # noqa: D102  told above

    def list_entries(self, selection: Selection, *, limit: int, after: str | None) -> EntryPage:
        """Return a page of entries, the last failed first."""

    def all_entries(self, selection: Selection) -> Iterator[Entry]:
        """Yield every entry that is selected, the last failed first."""

    def show_entry(self, typed_id: str, *, with_message: bool) -> EntryDetail | None:
        """Return one entry, by an id of which the first digits suffice."""

    def choose(self, selection: Selection) -> Chosen:
        """Return the entries that an action on a selection works on."""

    def act(self, ids: Sequence[str], wish: Wish, on_progress: Progress) -> list[Step]:
        """Replay, resolve or discard entries."""

    def verdicts(self, replay_ids: Sequence[str]) -> dict[str, tuple[Verdict, str | None]]:
        """Return the verdicts that have come in for these replays, with the code of a new failure."""

    def plan_clear(self, selection: Selection, archive: str | None, *, include_open: bool) -> ClearPlan:
        """Return what `clear` would delete; `archive` None: a new file in the archive folder."""

    def clear(
        self, selection: Selection, archive: str, *, include_open: bool, newest_us: int | None
    ) -> ClearDone:
        """Archive entries, then delete them; raises ArchiveError before anything is deleted.

        What failed after `newest_us`, which a plan says, is left alone: nobody has seen it. None: all that is selected now.
        """

    def check_archive(self, archive: str) -> int:
        """Return how many entries an archive holds; raises ArchiveError when it is not whole."""

    def restore(self, archive: str) -> Restored:
        """Bring the entries of an archive back; raises ArchiveError when it is not whole."""

    def quarantine(self) -> Iterator[Unreadable]:
        """Yield the messages of the error topic that could not be read."""

    def reimport(self) -> Reimported:
        """Read the messages in quarantine again."""
