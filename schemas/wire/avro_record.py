"""A record's reader as one generated function: most of a worker's decoding is calls of tiny functions, which this leaves out.

Numbers, texts and bytes, optional or not, are read in place; anything else by the function that its field brings. What
is generated from a schema are the names of fields, quoted, and numbers of branches, nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PLAIN = {"int": "long", "long": "long", "string": "string", "bytes": "bytes"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its schema, and the function that reads or skips its value; without a name nobody wants it.

    Without a schema it is always read by the function.
    """

    name: str | None
    schema: Any
    function: Callable[[bytes, int], Any]


def compile_record(
    fields: Sequence[Field], called: Mapping[str, Any], make: Callable[..., Any] | None = None
) -> Callable[[bytes, int], tuple[Any, int]]:
    """Return `(data, at) -> (row, next)`; `called` are `read_long` and `read_size`, for values longer than most.

    A row is a dictionary by the names of the fields, or what `make` makes of the values in their order.
    """
    lines = ["def read_record(data, at):"]
    members = []
    known = {**called, "make": make}
    for number, field in enumerate(fields):
        value = None if field.name is None else f"v{number}"
        if value is not None:
            members.append(f"{field.name!r}: {value}" if make is None else value)
        known[f"f{number}"] = field.function
        lines += [f"    {line}" for line in _source(field.schema, value, f"f{number}")]
    listed = ", ".join(members)
    lines.append(f"    return {f'{{{listed}}}' if make is None else f'make({listed})'}, at")
    exec("\n".join(lines), known)  # noqa: S102  our own text, see above
    compiled: Callable[[bytes, int], tuple[Any, int]] = known["read_record"]
    return compiled


def _source(schema: Any, value: str | None, function: str) -> list[str]:
    """Return the lines that move `at` behind a value, and leave it in the variable `value` if there is one."""
    if (kind := _plain(schema)) is not None:
        return _plain_source(kind, value)
    if isinstance(schema, list) and len(schema) == 2 and "null" in schema:
        null = 2 * schema.index("null")
        kind = _plain(schema[1 - null // 2])
        if kind is not None:
            nothing = [f"    {value} = None"] if value is not None else []
            return [
                "branch = data[at]",
                "at += 1",
                f"if branch == {2 - null}:",
                *(f"    {line}" for line in _plain_source(kind, value)),
                f"elif branch == {null}:",
                *(nothing or ["    pass"]),
                "else:",
                "    raise ValueError('no such branch')",
            ]
    return [f"{value}, at = {function}(data, at)" if value is not None else f"at = {function}(data, at)"]


def _plain(schema: Any) -> str | None:
    """Return how a schema's values are read in place, None for those that are not."""
    if isinstance(schema, dict) and isinstance(schema.get("type"), str):
        schema = schema["type"]
    return _PLAIN.get(schema) if isinstance(schema, str) else None


def _plain_source(kind: str, value: str | None) -> list[str]:
    if kind == "long":
        return _long_source(value)
    taken = [] if value is None else [f"{value} = data[at:end]{'.decode()' if kind == 'string' else ''}"]
    return [
        "size = data[at]",
        "if size & 0x81:",  # longer than 63 bytes, or negative
        "    size, at = read_size(data, at)",
        "    end = at + size",
        "else:",
        "    at += 1",
        "    end = at + (size >> 1)",
        *taken,
        "at = end",
    ]


def _long_source(value: str | None) -> list[str]:
    if value is None:
        return ["while data[at] >= 0x80:", "    at += 1", "at += 1"]
    return [
        "byte = data[at]",
        "if byte < 0x80:",
        f"    {value} = byte >> 1 ^ -(byte & 1)",
        "    at += 1",
        "else:",
        f"    {value}, at = read_long(data, at)",
    ]
