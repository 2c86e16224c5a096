"""A record's reader as one generated function: most of a worker's decoding is calls of tiny functions, which this leaves out.

Numbers, texts and bytes, optional or not, are read in place; anything else by the function that its field brings. What
is generated from a schema are the names of fields, quoted, and numbers of branches, nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

_PLAIN = {"int": "long", "long": "long", "string": "string", "bytes": "bytes"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the schema of its values, and the function that reads or skips one; without a name nobody wants it.

    `null` is the number of the branch of null, doubled as Avro writes it, when the field may be null: schema and function
    are then those of the other branch. `make` makes something else of what was read.
    """

    name: str | None
    schema: Any
    function: Callable[[bytes, int], Any]
    null: int | None = None
    make: Callable[[Any], Any] | None = None


def compile_record(
    fields: Sequence[Field], called: Mapping[str, Any], make: Callable[..., Any] | None = None
) -> Callable[[bytes, int], tuple[Any, int]]:
    """Return `(data, at) -> (row, next)`; `called` are `read_long` and `read_size`, for values longer than most.

    A row is a dictionary by the names of the fields, or what `make` makes of the values in their order, with `tuple` they themselves.
    """
    lines = ["def read_record(data, at):"]
    members = {}
    known: dict[str, Any] = {**called, "make": make}
    for number, field in enumerate(fields):
        value = None if field.name is None else f"v{number}"
        if field.name is not None and value is not None:
            members[field.name] = value
        known |= {f"read{number}": field.function, f"make{number}": field.make}
        lines += [f"    {line}" for line in _source(field, value, number)]
    if make is None:
        listed = ", ".join(f"{name!r}: {value}" for name, value in members.items())
        lines.append(f"    return {{{listed}}}, at")
    elif make is tuple:
        lines.append(f"    return ({''.join(f'{value}, ' for value in members.values())}), at")
    elif (setters := _setters(make, list(members))) is not None:
        known |= {"new": object.__new__} | {f"set_{value}": setters[name] for name, value in members.items()}
        lines.append("    made = new(make)")
        lines += [f"    set_{value}(made, {value})" for value in members.values()]
        lines.append("    return made, at")
    else:
        lines.append(f"    return make({', '.join(members.values())}), at")
    exec("\n".join(lines), known)  # noqa: S102  our own text, see above
    compiled: Callable[[bytes, int], tuple[Any, int]] = known["read_record"]
    return compiled


def _setters(make: Callable[..., Any], names: Sequence[str]) -> dict[str, Callable[..., None]] | None:
    """Return what sets the slots of a frozen dataclass, in half of the time that its own `__init__` takes; else None."""
    if not isinstance(make, type) or not is_dataclass(make) or hasattr(make, "__post_init__"):
        return None
    if [each.name for each in dataclass_fields(make)] != list(names) or not hasattr(make, "__slots__"):
        return None
    return {name: getattr(make, name).__set__ for name in names}


def _source(field: Field, value: str | None, number: int) -> list[str]:
    """Return the lines that move `at` behind a value, and leave it in the variable `value` if there is one."""
    lines = _value_source(field, value, number)
    if field.null is None:
        return lines
    return [
        "branch = data[at]",
        "at += 1",
        f"if branch == {2 - field.null}:",
        *(f"    {line}" for line in lines),
        f"elif branch == {field.null}:",
        "    pass" if value is None else f"    {value} = None",
        "else:",
        "    raise ValueError('no such branch')",
    ]


def _value_source(field: Field, value: str | None, number: int) -> list[str]:
    if (kind := _plain(field.schema)) is not None:
        lines = _plain_source(kind, value)
    else:
        lines = [f"at = read{number}(data, at)" if value is None else f"{value}, at = read{number}(data, at)"]
    return lines if field.make is None else [*lines, f"{value} = make{number}({value})"]


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
