"""Values that Debezium did not get from the database: they are not in the change.

PostgreSQL does not send a large value that an update left alone, Oracle no large object. Debezium puts a placeholder in
its place, in the form that the field's type asks for.
Source: io.debezium.connector.postgresql.UnchangedToastedPlaceholder, and
https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-toasted-values
"""

import base64
from collections.abc import Callable
from typing import Any, Final

from schemas.wire.wire_type import WireType

_TEXT: Final = "__debezium_unavailable_value"
_RAW: Final = _TEXT.encode()
_BASE64: Final = base64.b64encode(_RAW).decode()
_HEX: Final = _RAW.hex()
_UUID: Final = "b68a35a7-17ad-35b3-af2a-ae46edb4545a"  # java.util.UUID.nameUUIDFromBytes of it
_SCALARS: Final = frozenset({_TEXT, _RAW, _BASE64, _HEX})
_ONLY_ITEMS: Final = _SCALARS | {_UUID}

# An array of anything but text has one item for each byte; a list of integers equals one of the same floats.
_BYTES: Final = [bytes((byte,)) for byte in _RAW]
_TEXTS: Final = [base64.b64encode(byte).decode() for byte in _BYTES]
_ITEMS: Final[list[Any]] = [
    list(_RAW),
    _BYTES,
    _TEXTS,
    [{"scale": 0, "value": byte} for byte in _BYTES],
    [{"scale": 0, "value": text} for text in _TEXTS],
]
_WKBS: Final = [
    bytes.fromhex("0101000020E6100000000000FC83D797C1000000FC83D797C1"),
    bytes.fromhex("0101000020E61000000C21E7FDFF7F66401842CEFBFF7F5640"),
]
_SHAPES: Final = [*_WKBS, *(base64.b64encode(wkb).decode() for wkb in _WKBS)]
_FAR: Final = -99_999_999

_NEEDLES: Final = (_RAW, _BASE64.encode(), _HEX.encode())
_NEEDLES_WITHOUT_SCHEMA: Final = (
    *_NEEDLES,
    _UUID.encode(),
    b"95,95,100,101,98",
    b"95.0,95.0,100.0,",
    *(s.encode() for s in _SHAPES if isinstance(s, str)),
)

# Tells whether a row may hold a placeholder, from the row and from the bytes that it was in.
MayLack = Callable[[Any, bytes], bool]


def placeholder_finder(fields: tuple[tuple[str, WireType], ...] | None) -> MayLack:
    """Return what tells whether a row of these fields may hold a placeholder; None where the fields are not known.

    It is asked for every update: values are looked up in a set, and where some can't be, their bytes are searched.
    """
    if fields is None:
        return lambda _row, data: any(needle in data for needle in _NEEDLES_WITHOUT_SCHEMA)
    nested = [name for name, wire in fields if wire.base in {"array", "map", "pairs", "struct"}]
    return _finder_among_nested(nested) if nested else _is_among_values


def _is_among_values(row: Any, _data: bytes) -> bool:
    if type(row) is not dict:
        return False
    try:
        return not _SCALARS.isdisjoint(row.values())
    except TypeError:  # a list or an object where the schema has none
        return any(map(is_placeholder, row.values()))


def _finder_among_nested(nested: list[str]) -> MayLack:
    raw, in_base64, in_hex = _NEEDLES

    def may_lack(row: Any, data: bytes) -> bool:
        if raw in data or in_base64 in data or in_hex in data:
            return True
        return type(row) is dict and any(is_placeholder(row.get(name)) for name in nested)

    return may_lack


def placeholders(row: Any) -> frozenset[str]:
    """Return the fields of a row that hold a placeholder."""
    return (
        frozenset(name for name, value in row.items() if is_placeholder(value))
        if type(row) is dict
        else frozenset()
    )


def without_placeholders(row: Any) -> Any:
    """Return a row without the fields that hold a placeholder."""
    if type(row) is not dict:
        return row
    return {name: value for name, value in row.items() if not is_placeholder(value)}


def is_placeholder(value: Any) -> bool:
    """Tell whether a wire value is a placeholder, in any of its forms."""
    match value:
        case str() | bytes():
            return value in _SCALARS
        case [str() | bytes() as only]:
            return only in _ONLY_ITEMS
        case list():
            return len(value) == len(_RAW) and value in _ITEMS
        case {"wkb": wkb}:
            return wkb in _SHAPES or value.get("x") == value.get("y") == _FAR
        case dict():
            return value == {_TEXT: _TEXT}
    return False
