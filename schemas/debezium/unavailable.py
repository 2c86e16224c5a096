"""Values that Debezium did not get from the database: they are not in the change.

PostgreSQL does not send a large value that an update left alone, Oracle no large object; Debezium puts a placeholder
in its place, in the form that the field's type asks for.
Source: https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-toasted-values
"""

from typing import Any, Final

_TEXT: Final = "__debezium_unavailable_value"
_RAW: Final = _TEXT.encode()
_BASE64: Final = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
_HEX: Final = _RAW.hex()
_NUMBERS: Final = list(_RAW)

_SCALARS: Final = frozenset({_TEXT, _RAW, _BASE64, _HEX})
_NEEDLES: Final = (_RAW, _BASE64.encode(), _HEX.encode())
# As an array of integers: in JSON, and in Avro, where small positive numbers of seven bits and more take two bytes.
_NUMBERS_JSON: Final = ",".join(map(str, _NUMBERS)).encode()
_NUMBERS_AVRO: Final = b"".join(bytes((number << 1 & 0x7F | 0x80, number >> 6)) for number in _NUMBERS)


def masks_json(data: bytes) -> bool:
    """Tell whether a placeholder may be in JSON."""
    return any(needle in data for needle in (*_NEEDLES, _NUMBERS_JSON))


def masks_avro(data: bytes) -> bool:
    """Tell whether a placeholder may be in Avro."""
    return any(needle in data for needle in (*_NEEDLES, _NUMBERS_AVRO))


def without_unavailable(row: Any) -> Any:
    """Return a row without the fields that hold a placeholder."""
    if type(row) is not dict:
        return row
    return {name: value for name, value in row.items() if not is_unavailable(value)}


def is_unavailable(value: Any) -> bool:
    """Tell whether a wire value is a placeholder, in any of its forms."""
    match value:
        case str() | bytes():
            return value in _SCALARS
        case [str() | bytes() as only]:
            return only in _SCALARS
        case list():
            return value == _NUMBERS
        case dict():
            return list(value.items()) == [(_TEXT, _TEXT)]
    return False
