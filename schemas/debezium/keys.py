"""From a parsed message key to exact values by field."""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.wire.readers import reading_of, shape_of
from schemas.wire.wire_type import WireType

# Reads a parsed key; raises ValueError where a value is none of its type.
ReadKey = Callable[[Any], Mapping[str, object] | None]


def key_reader(schema: WireType) -> ReadKey:
    """Return what reads the keys of one schema; a key that is no struct gets the name ""."""
    if schema.base != "struct":
        reader = reading_of(schema)[1]
        return lambda key: None if key is None else {"": key if reader is None else reader(key)}
    readers = shape_of(schema.fields).readers

    def read(key: Any) -> Mapping[str, object] | None:
        if type(key) is not dict:
            return None
        return {
            name: readers[name](value) if name in readers and value is not None else value
            for name, value in key.items()
        }

    return read


def read_schemaless_key(key: Any) -> Mapping[str, object] | None:
    """Read a key of which nothing is known beforehand."""
    if key is None or type(key) is list:
        return None
    return key if type(key) is dict else {"": key}
