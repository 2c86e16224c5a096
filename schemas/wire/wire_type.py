"""What a source schema says of a field, the same for Kafka Connect's JSON schemas and for Avro."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Base = Literal[
    "integer",
    "float",
    "single",
    "boolean",
    "string",
    "bytes",
    "base64",
    "array",
    "map",
    "pairs",
    "struct",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class WireType:
    """The type of a value on the wire.

    `base` is how it is written: `single` a float of 32 bits that has become a longer one, `base64` is bytes as JSON text, `pairs` a map as a list of [key, value], `map` one with
    text keys as an object. `name` is the semantic type, such as `io.debezium.time.Date`, empty where there is none.
    """

    base: Base
    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    items: "WireType | None" = None
    keys: "WireType | None" = None
    fields: "tuple[tuple[str, WireType], ...]" = ()


UNKNOWN = WireType("unknown")
