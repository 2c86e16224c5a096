"""What is there and whose it is, out of the counts that the database keeps."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from schemas.catalogue import Fixer
from sink.groups import GroupState
from sink.states import RELEVANT, State
from sink.store.counts import counted, read_oldest
from sink.store.fixers import fixer_of
from sink.store.groups import count_groups


@dataclass(frozen=True, slots=True)
class MappingCount:
    """The entries of one mapping; `oldest_us` is when the oldest relevant one failed first."""

    mapping: str
    relevant: int
    closed: int
    oldest_us: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What is there and whose it is. `fixers` counts relevant entries by who can put them right, `groups` groups."""

    states: Mapping[State, int]
    fixers: Mapping[Fixer, int]
    groups: Mapping[GroupState, int]
    mappings: tuple[MappingCount, ...]

    @property
    def relevant(self) -> int:
        """How many entries ask for something."""
        return sum(self.states.get(state, 0) for state in RELEVANT)

    @property
    def oldest_us(self) -> int | None:
        """When the oldest relevant entry failed first."""
        return min((each.oldest_us for each in self.mappings if each.oldest_us is not None), default=None)


def read_overview(connection: Connection, now_us: int) -> Overview:
    """Return what is there; asks the counts, never the entries."""
    counts = counted()
    columns = (counts.c.mapping, counts.c.code, counts.c.state)
    states: Counter[State] = Counter()
    fixers: Counter[Fixer] = Counter()
    mappings: dict[str, Counter[bool]] = {}
    for mapping, code, state_name, number in connection.execute(
        select(*columns, func.sum(counts.c.entries)).group_by(*columns)
    ):
        state = State(state_name)
        states[state] += int(number)
        mappings.setdefault(mapping, Counter())[state in RELEVANT] += int(number)
        if state in RELEVANT:
            fixers[fixer_of(code)] += int(number)
    oldest = read_oldest(connection)
    by_mapping = (
        MappingCount(mapping, numbers[True], numbers[False], oldest.get(mapping))
        for mapping, numbers in sorted(mappings.items())
        if numbers.total()
    )
    return Overview(dict(states), dict(fixers), count_groups(connection, now_us), tuple(by_mapping))
