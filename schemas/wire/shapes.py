"""The shapes of the rows of one schema, or of all rows without one: one object for each set of names."""

from schemas.change import Shape

_MOST = 1000


class Shapes:
    """A growing set of shapes; forgets them all where a source has no end of sets of names.

    `full` is the shape of the whole schema; without one, fields have neither kind nor reader.
    """

    def __init__(self, full: Shape | None = None) -> None:
        self.full = full
        self.known: dict[tuple[str, ...], Shape] = {full.names: full} if full else {}

    def of(self, names: tuple[str, ...]) -> Shape:
        """Return the shape of rows with these names; those that the schema does not have are left out."""
        shape = self.known.get(names)
        return self._add(names) if shape is None else shape

    def _add(self, names: tuple[str, ...]) -> Shape:
        if len(self.known) >= _MOST:
            self.known.clear()
        full = self.full
        if full is None:
            shape = Shape(tuple(name for name in names if not name.startswith("__")))
        else:
            kept = tuple(name for name in names if name in full.kinds)
            shape = Shape(
                names=kept,
                kinds={name: full.kinds[name] for name in kept},
                readers={name: full.readers[name] for name in kept if name in full.readers},
            )
        self.known[names] = shape
        return shape
