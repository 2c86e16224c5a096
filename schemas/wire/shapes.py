"""The shapes of the rows of one schema, or of all rows without one: one object for each set of names."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from schemas.change import Shape

_MOST: Final = 1000

ShapeOf = Callable[[tuple[str, ...]], Shape]


def without_schema(names: tuple[str, ...]) -> Shape:
    """Return the shape of rows of which only the names are known; those with two underscores in front are Debezium's."""
    return Shape(tuple(name for name in names if not name.startswith("__")))


def part_of(full: Shape) -> ShapeOf:
    """Return what gives rows that lack some fields of a schema their shape; names that the schema has not are left out."""

    def shape_of(names: tuple[str, ...]) -> Shape:
        kept = tuple(name for name in names if name in full.kinds)
        return Shape(
            names=kept,
            kinds={name: full.kinds[name] for name in kept},
            readers={name: full.readers[name] for name in kept if name in full.readers},
        )

    return shape_of


class Shapes:
    """The shapes met so far, by the names in a row; forgets them where a source has no end of sets of names.

    `known` may be asked first, as that is what happens for each record: `shapes.known.get(names) or shapes.of(names)`.
    """

    def __init__(self, make: ShapeOf) -> None:
        self._make = make
        self.known: dict[tuple[str, ...], Shape] = {}
        self._lacking: dict[tuple[tuple[str, ...], frozenset[str]], Shape] = {}

    def of(self, names: tuple[str, ...]) -> Shape:
        """Return the shape of rows with these names."""
        shape = self.known.get(names)
        if shape is None:
            if len(self.known) >= _MOST:
                self.known.clear()
            shape = self.known[names] = self._make(names)
        return shape

    def lacking(self, names: tuple[str, ...], lacks: frozenset[str]) -> Shape:
        """Return the shape of rows with these names that the source left others out of."""
        shape = self._lacking.get((names, lacks))
        if shape is None:
            if len(self._lacking) >= _MOST:
                self._lacking.clear()
            shape = self._lacking[names, lacks] = replace(self.of(names), lacks=lacks)
        return shape


def shapes_of_schema(full: Shape) -> Shapes:
    """Return the shapes of the rows of one schema, among them that of whole rows."""
    shapes = Shapes(part_of(full))
    shapes.known[full.names] = full
    return shapes
