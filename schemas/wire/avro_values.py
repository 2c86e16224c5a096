"""Avro's binary encoding into plain Python values, or into what is to be made of them.

A schema is compiled to functions `(data, at) -> (value, next)`, and to functions `(data, at) -> next` for what nobody
wants. Written by hand because decoding is what a worker does most: fastavro takes three times as long, and can't leave
anything out. Compared with fastavro in the tests.
Source: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from schemas.wire.avro_record import Field, compile_record

Read = Callable[[bytes, int], tuple[Any, int]]
Skip = Callable[[bytes, int], int]

# The fields that are wanted of a record, each with those wanted of its value; None for all.
Wanted = Mapping[str, "Wanted | None"] | None

FAULTS: Final = (ValueError, LookupError, OverflowError, RecursionError, struct.error)

_MAX_VARINT_BYTES: Final = 10
_read_float32: Final = struct.Struct("<f").unpack_from
_read_float64: Final = struct.Struct("<d").unpack_from


# What records become, by their full names, of the values of all their fields in order; values of logical types, by theirs; and
# arrays of records, by the records' names and "[]": it must be nothing that changes, as it may be given out several times.
Make = Mapping[str, Callable[..., Any]]


def value_reader(
    schema: Any, wanted: Wanted = None, *, named: bool = False, make: Make = MappingProxyType({})
) -> Callable[[bytes], Any]:
    """Return what decodes whole values of a schema that fastavro has parsed; it raises one of FAULTS for bad bytes.

    Also for truncated bytes and for bytes that are left over. With `named`, a value of a named type in a union of more
    than null and one type is the pair (full name, value), as fastavro's `return_named_type` has it. Logical types that `make`
    does not name are left out; what its functions raise passes.
    """
    read = _Compiler(named=named, make=make).read(schema, wanted)

    def read_value(data: bytes) -> Any:
        value, at = read(data, 0)
        if at != len(data):
            raise ValueError("truncated, or more bytes than the schema asks for")
        return value

    return read_value


def _read_long(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte >> 1 ^ -(byte & 1), at
    number = byte & 0x7F
    shift = 7
    while (byte := data[at]) >= 0x80:
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if shift > 7 * _MAX_VARINT_BYTES:
            raise ValueError("a number too long")
    number |= byte << shift
    return number >> 1 ^ -(number & 1), at + 1


def _skip_long(data: bytes, at: int) -> int:
    while data[at] >= 0x80:
        at += 1
    return at + 1


def _read_size(data: bytes, at: int) -> tuple[int, int]:
    low = data[at]
    if low & 0x81 == 0x80 and (high := data[at + 1]) < 0x80:  # 64 to 8,191, as most that are longer than 63
        size = (low & 0x7F | high << 7) >> 1
        at += 2
    else:
        size, at = _read_long(data, at)
    if size < 0 or at + size > len(data):
        raise ValueError("a length beyond the end")
    return size, at


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    if size & 0x81:  # longer than 63 bytes, or negative
        size, at = _read_size(data, at)
        end = at + size
    else:
        at += 1
        end = at + (size >> 1)
    return data[at:end].decode(), end


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _read_size(data, at)
    end = at + size
    return data[at:end], end


def _skip_bytes(data: bytes, at: int) -> int:
    size = data[at]
    if size & 0x81:
        size, at = _read_size(data, at)
        return at + size
    return at + 1 + (size >> 1)


def _read_null(_data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise ValueError("neither true nor false")
    return byte == 1, at + 1


def _read_float(data: bytes, at: int) -> tuple[float, int]:
    return _read_float32(data, at)[0], at + 4


def _read_double(data: bytes, at: int) -> tuple[float, int]:
    return _read_float64(data, at)[0], at + 8


_READ: Final[Mapping[str, Read]] = {
    "null": _read_null,
    "boolean": _read_boolean,
    "int": _read_long,
    "long": _read_long,
    "float": _read_float,
    "double": _read_double,
    "bytes": _read_bytes,
    "string": _read_string,
}
# what the code of a record calls for values that are longer than most
_CALLED: Final[Mapping[str, Any]] = {"read_long": _read_long, "read_size": _read_size}
_SKIP: Final[Mapping[str, Skip]] = {
    "int": _skip_long,
    "long": _skip_long,
    "bytes": _skip_bytes,
    "string": _skip_bytes,
}


class _Compiler:
    """Turns one schema into functions; knows the named types met so far."""

    def __init__(self, *, named: bool, make: Make) -> None:
        self._with_names = named
        self._make = make
        self._named: dict[str, Any] = {}
        self._whole: dict[str, Read] = {}
        self._begun: set[str] = set()

    def read(self, schema: Any, wanted: Wanted = None) -> Read:  # noqa: PLR0911  one return for each form of schema
        match schema:
            case str() if schema in _READ:
                return _READ[schema]
            case str():
                return self._reference(schema, wanted)
            case list():
                return self._union(schema, wanted)
            case {"type": "record" | "error", "name": str() as name, "fields": list()}:
                self._named[name] = schema
                return self._record(schema, wanted)
            case {"type": "enum" | "fixed", "name": str() as name}:
                self._named[name] = schema
                return _enum(schema["symbols"]) if schema["type"] == "enum" else _fixed(schema["size"])
            case {"type": "array", "items": items}:
                read = _array(self.read(items))
                make = self._make.get(f"{_name_of(items)}[]")
                return read if make is None else _shared(read, make)
            case {"type": "map", "values": values}:
                return _map(self.read(values))
            case {"type": inner, "logicalType": str() as kind} if kind in self._make:
                return _made(self.read(inner), self._make[kind])
            case {"type": inner}:
                return self.read(inner, wanted)
        raise ValueError("no Avro schema")

    def skip(self, schema: Any) -> Skip:
        match schema:
            case str() if schema in _SKIP:
                return _SKIP[schema]
            case {"type": str() as kind} if kind in _SKIP:
                return _SKIP[kind]
            case _:
                return _discard(self.read(schema))

    def _reference(self, name: str, wanted: Wanted) -> Read:
        if name not in self._named:
            raise ValueError("a type that the schema does not define")
        if wanted is not None or (name not in self._whole and name not in self._begun):
            return self.read(self._named[name], wanted)
        whole = self._whole

        def read_later(data: bytes, at: int) -> tuple[Any, int]:  # the type is inside itself
            return whole[name](data, at)

        return whole.get(name, read_later)

    def _union(self, schema: list[Any], wanted: Wanted) -> Read:
        reads = [self.read(each, wanted) for each in schema]
        null, _ = _without_null(schema)
        if null is not None:
            return _optional(null, 2 - null, reads[1 - null // 2])
        if self._with_names:
            reads = [_with_name(_name_of(each), read) for each, read in zip(schema, reads, strict=True)]

        def read_union(data: bytes, at: int) -> tuple[Any, int]:
            branch, at = _read_long(data, at)
            if branch < 0:
                raise ValueError("no such branch")
            return reads[branch](data, at)

        return read_union

    def _record(self, schema: Mapping[str, Any], wanted: Wanted) -> Read:
        if wanted is None:
            self._begun.add(schema["name"])
        fields: list[Field] = []
        for each in schema["fields"]:
            name, type_ = each["name"], each["type"]
            if wanted is None:
                fields.append(self._field(name, type_))
            elif name in wanted:
                fields.append(self._field(name, type_, wanted[name]))
            else:
                null, other = _without_null(type_)
                fields.append(Field(None, other, self.skip(other), null))
        make = self._make.get(schema["name"]) if wanted is None else None
        read = compile_record(fields, _CALLED, make)
        if wanted is None:
            self._whole[schema["name"]] = read
        return read

    def _field(self, name: str, schema: Any, wanted: Wanted = None) -> Field:
        null, other = _without_null(schema)
        match other:
            case {"type": inner, "logicalType": str() as kind} if wanted is None and kind in self._make:
                return Field(name, inner, self.read(inner), null, self._make[kind])
        return Field(name, other, self.read(other, wanted), null)


def _without_null(schema: Any) -> tuple[int | None, Any]:
    """Return the number of null's branch, doubled as it is written, and the other one; None for all but such a pair."""
    match schema:
        case ["null", other]:
            return 0, other
        case [other, "null"]:
            return 2, other
    return None, schema


def _made(read: Read, make: Callable[[Any], Any]) -> Read:
    def read_made(data: bytes, at: int) -> tuple[Any, int]:
        value, at = read(data, at)
        return make(value), at

    return read_made


def _shared(read: Read, make: Callable[[Any], Any]) -> Read:
    """Return what does not read the same bytes again that it read the time before: headers, say, which are those of most messages."""
    known: tuple[bytes, Any] = (b"", None)

    def read_shared(data: bytes, at: int) -> tuple[Any, int]:
        nonlocal known
        last, made = known
        if last and data.startswith(last, at):
            return made, at + len(last)
        value, end = read(data, at)
        made = make(value)
        known = (data[at:end], made)
        return made, end

    return read_shared


def _optional(null: int, other: int, read: Read) -> Read:
    def read_optional(data: bytes, at: int) -> tuple[Any, int]:
        branch = data[at]
        if branch == null:
            return None, at + 1
        if branch == other:
            return read(data, at + 1)
        raise ValueError("no such branch")

    return read_optional


def _name_of(schema: Any) -> str | None:
    """Return the full name of a record, enum or fixed, None for any other type."""
    match schema:
        case {"type": "record" | "error" | "enum" | "fixed", "name": str() as name}:
            return name
        case str() if schema not in _READ:
            return schema
    return None


def _with_name(name: str | None, read: Read) -> Read:
    if name is None:
        return read

    def read_named(data: bytes, at: int) -> tuple[tuple[str, Any], int]:
        value, at = read(data, at)
        return (name, value), at

    return read_named


def _discard(read: Read) -> Skip:
    return lambda data, at: read(data, at)[1]


def _enum(symbols: Any) -> Read:
    if not isinstance(symbols, list):
        raise ValueError("no symbols")  # noqa: TRY004  a wrong schema is a wrong value

    def read_enum(data: bytes, at: int) -> tuple[str, int]:
        index, at = _read_long(data, at)
        if index < 0:
            raise ValueError("no such symbol")
        return symbols[index], at

    return read_enum


def _fixed(size: Any) -> Read:
    if type(size) is not int or size < 0:
        raise ValueError("no size")
    return lambda data, at: (data[at : at + size], at + size)


def _read_count(data: bytes, at: int) -> tuple[int, int]:
    """Read how many items a block has; 0 ends the list. More items than bytes are refused, as no memory would do."""
    count = data[at]
    if not count & 0x81:  # fewer than 64, as nearly always
        count, at = count >> 1, at + 1
    else:
        count, at = _read_long(data, at)
    if count < 0:
        count = -count
        at = _skip_long(data, at)
    if count > len(data) - at:
        raise ValueError("more items than bytes")
    return count, at


def _array(read: Read) -> Read:
    def read_array(data: bytes, at: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while True:
            count, at = _read_count(data, at)
            if not count:
                return items, at
            for _ in range(count):
                item, at = read(data, at)
                items.append(item)

    return read_array


def _map(read: Read) -> Read:
    def read_map(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        members: dict[str, Any] = {}
        while True:
            count, at = _read_count(data, at)
            if not count:
                return members, at
            for _ in range(count):
                name, at = _read_string(data, at)
                members[name], at = read(data, at)

    return read_map
