"""Which entries a list shows: its address turned into a filter, and filters into addresses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from schemas.catalogue import Fixer
from sink.desk.selection import Selection, WrongUse, to_filter
from sink.store.entries import Filter

_MANY = ("state", "mapping", "category", "code", "record", "group")
_ONE = ("text", "newer_than", "older_than")
# what is in an address, but is no filter
_OTHER = ("after",)
_NAMES = {
    "state": "state",
    "mapping": "mapping",
    "category": "category",
    "code": "code",
    "record": "record",
    "group": "group",
    "text": "text",
    "newer_than": "failed within",
    "older_than": "failed before",
}
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Shelf:
    """One list of entries: those that these fixers put right, all where none is named."""

    path: str
    title: str
    about: str
    nothing: str
    fixers: tuple[Fixer, ...] = ()


RECORDS = Shelf(
    "/records",
    "Record errors",
    "What the people who own the records put right.",
    "No record waits for the person who owns it.",
    (Fixer.USER,),
)
SETUP = Shelf(
    "/setup",
    "Setup errors",
    "What administrators and developers put right.",
    "Nothing is wrong with the setup.",
    (Fixer.ADMIN, Fixer.DEVELOPER),
)
ENTRIES = Shelf(
    "/entries",
    "All entries",
    "Whoever puts them right, those that heal themselves included.",
    "Nothing is wrong: no entry is open.",
)
SHELVES = {shelf.path: shelf for shelf in (RECORDS, SETUP, ENTRIES)}


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in force; `href` is the address without it."""

    name: str
    value: str
    href: str


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters of a list as its address has them: pairs of name and value, in their order."""

    shelf: Shelf
    filters: tuple[tuple[str, str], ...] = ()
    after: str | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the shelf itself is asked for."""
        return bool(self.filters)

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of one filter."""
        return tuple(value for each, value in self.filters if each == name)

    def one(self, name: str) -> str | None:
        """Return the value of a filter that may be there once."""
        values = self.values(name)
        return values[-1] if values else None

    def address(self, after: str | None = None) -> str:
        """Return the address of this list, from its start or after a place."""
        pairs = [*self.filters, *([("after", after)] if after else [])]
        return self.shelf.path + (f"?{urlencode(pairs)}" if pairs else "")

    def without(self, name: str, value: str) -> "ListQuery":
        """Return the list without one filter."""
        left = tuple(pair for pair in self.filters if pair != (name, value))
        return replace(self, filters=left, after=None)

    def with_only(self, name: str, value: str | None) -> "ListQuery":
        """Return the list with this value alone for a filter, None: without the filter."""
        left = tuple(pair for pair in self.filters if pair[0] != name)
        return replace(self, filters=(*left, *([(name, value)] if value else [])), after=None)

    def chips(self) -> list[Chip]:
        """Return the filters in force."""
        return [
            Chip(_NAMES[name], value, self.without(name, value).address()) for name, value in self.filters
        ]

    def filter(self, now_us: int) -> Filter:
        """Return the entries that are meant; raises WrongUse for what makes no sense."""
        selection = Selection(
            states=self.values("state"),
            mappings=self.values("mapping"),
            categories=self.values("category"),
            codes=self.values("code"),
            records=self.values("record"),
            newer_than=self.one("newer_than"),
            older_than=self.one("older_than"),
        )
        return replace(
            to_filter(selection, now_us),
            groups=self.values("group"),
            fixers=tuple(str(fixer) for fixer in self.shelf.fixers),
            text=self.one("text"),
        )


def read_query(shelf: Shelf, pairs: Iterable[tuple[str, str]]) -> ListQuery:
    """Return the list that an address means; raises WrongUse for a filter that there is not, or that is too long."""
    filters: list[tuple[str, str]] = []
    after = None
    for name, value in pairs:
        if name not in (*_MANY, *_ONE, *_OTHER):
            raise WrongUse(f'there is no filter "{name[:40]}"; known are {", ".join((*_MANY, *_ONE))}')
        if len(value) > _LONGEST:
            raise WrongUse(f"{name}: at most {_LONGEST} characters")
        if "\x00" in value:
            raise WrongUse(f"{name}: NUL characters are not allowed")
        if name == "after":
            after = value or None
        elif value.strip() and (name, value.strip()) not in filters:
            filters.append((name, value.strip()))
    return ListQuery(shelf, tuple(filters), after)


def in_words(query: ListQuery, states: Sequence[str]) -> str:
    """Return what a list shows, for the audit log: filters by name, but not what was searched for."""
    said = [f"{_NAMES[name]} {value}" for name, value in query.filters if name not in {"text", "record"}]
    said += sorted({f"a {_NAMES[name]}" for name, _ in query.filters if name in {"text", "record"}})
    whose = query.shelf.title.lower()
    return f"{whose}: {', '.join(said)}" if said else f"{whose} ({', '.join(states)})"
