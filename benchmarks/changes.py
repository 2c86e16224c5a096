"""The changes that every benchmark moves: customers of an ERP, created once and updated at random.

Keys are drawn at random from half as many customers as there are changes: of 200,000 changes 86,500 are the first of
their customer (create), the rest are updates. The same seed gives the same changes in every format and every process.
The last change of each partition is of a customer of its own, `END0` … `END3`: once all of them are in the target, a
side is done, as every side keeps the order within a partition.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

PARTITIONS = 4
COLUMNS = ("number", "name", "email", "city", "credit_limit", "blocked", "visits", "opened")
LONGEST_NAME = 40
ENDS = tuple(f"END{partition}" for partition in range(PARTITIONS))
_FIRST = (
    "Adatum",
    "Trey",
    "Relecloud",
    "School of",
    "Contoso",
    "Fabrikam",
    "Nørdisk",
    "Łódź",
    "Château",
    "Alpine",
)
_SECOND = (
    "Corporation",
    "Research",
    "Fine Art",
    "Handels GmbH",
    "Winery",
    "Ski House",
    "& Söhne",
    "Trading",
    "Labs",
)
_CITIES = (
    "Torino",
    "København",
    "München",
    "Atlanta",
    "Kraków",
    "Lyon",
    "Porto",
    "Bergen",
    "Graz",
    "Utrecht",
)
_EPOCH_MICROS = 1_700_000_000_000_000


class Customer(NamedTuple):
    """One row; `credit_cents` is credit_limit times 100, `opened_micros` counts from 1970 without a zone."""

    number: str
    name: str
    email: str | None
    city: str
    credit_cents: int
    blocked: bool
    visits: int
    opened_micros: int


class Change(NamedTuple):
    """One change; `partition` is None where the key's hash decides."""

    position: int
    op: str
    row: Customer
    partition: int | None = None


def customers(count: int, *, one_bad_in: int = 0, seed: int = 7) -> Iterator[Change]:
    """Yield `count` changes and the last of each partition.

    With `one_bad_in` = 500 every 500th change creates a customer of its own whose name is longer than its column.
    """
    chance = random.Random(seed)
    pick, uniform = chance.randrange, chance.random
    pool = max(count // 2, 1)
    seen = bytearray(pool)
    for position in range(count):
        if one_bad_in and position % one_bad_in == one_bad_in - 1:
            yield Change(
                position, "c", _customer(f"B{position:08d}", position, name="x" * (LONGEST_NAME + 1))
            )
            continue
        key = pick(pool)
        op = "u" if seen[key] else "c"
        seen[key] = 1
        yield Change(position, op, _customer(f"C{key:08d}", int(uniform() * 1_000_000_000)))
    for partition, number in enumerate(ENDS):
        yield Change(count + partition, "c", _customer(number, partition), partition)


def expected(count: int, *, seed: int = 7, one_bad_in: int = 0) -> dict[str, Customer]:
    """Return the rows a target has in the end, by number: the last change of each customer, without the bad ones."""
    return {
        change.row.number: change.row
        for change in customers(count, one_bad_in=one_bad_in, seed=seed)
        if len(change.row.name) <= LONGEST_NAME
    }


def _customer(number: str, chance: int, *, name: str | None = None) -> Customer:
    """Make a row out of one random number."""
    first, second, city = chance % 10, chance // 10 % 9, chance // 90 % 10
    return Customer(
        number,
        name or f"{_FIRST[first]} {_SECOND[second]} {chance % 100_000}",
        None if chance % 5 == 0 else f"post.{chance % 1_000_000}@{number.lower()}.example",
        _CITIES[city],
        chance % 20_000_000 - 100_000,
        chance % 17 == 0,
        chance % 50_000,
        _EPOCH_MICROS + chance * 1_000_003,
    )
