"""From the wire type of a field to its neutral kind and the reader of its values."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from schemas.change import Kind, Reader, Shape
from schemas.typed_values import NAMED
from schemas.wire import numbers, temporal
from schemas.wire.plain import to_plain
from schemas.wire.structured import STRUCTURED
from schemas.wire.wire_type import WireType

Reading = tuple[Kind, Reader | None]


def shape_of(fields: tuple[tuple[str, WireType], ...]) -> Shape:
    """Return the shape of rows with these fields."""
    readings = {name: reading_of(wire) for name, wire in fields}
    return Shape(
        names=tuple(readings),
        kinds={name: kind for name, (kind, _) in readings.items()},
        readers={name: reader for name, (_, reader) in readings.items() if reader is not None},
    )


def reading_of(wire: WireType) -> Reading:
    """Return the kind and the reader of a wire type; no reader where the wire value is exact already."""
    for base, named in ((wire.base, _BY_BASE_AND_NAME), ("", _BY_NAME)):
        make = named.get((base, wire.name))
        if make is not None and (reading := make(wire)) is not None:
            return reading
    return _BY_BASE[wire.base](wire)


def _fixed(kind: Kind, reader: Reader | None) -> Callable[[WireType], Reading]:
    return lambda _: (kind, reader)


def _to_bytes(wire: WireType) -> numbers.ReadBytes:
    return numbers.read_base64 if wire.base == "base64" else numbers.read_bytes


def _decimal(wire: WireType) -> Reading | None:
    try:
        scale = int(wire.parameters["scale"])
    except (KeyError, ValueError):
        return None
    return Kind.DECIMAL, numbers.decimal_reader(scale, _to_bytes(wire))


def _variable_decimal(wire: WireType) -> Reading | None:
    value = dict(wire.fields).get("value")
    return None if value is None else (Kind.DECIMAL, numbers.variable_decimal_reader(_to_bytes(value)))


def _bits(wire: WireType) -> Reading | None:
    try:
        length = int(wire.parameters["length"])
    except (KeyError, ValueError):
        return None
    # bit varying without a limit: how long a value was is not told, so its text would be a guess
    return (Kind.TEXT, numbers.bits_reader(length, _to_bytes(wire))) if 0 < length <= 1 << 20 else None


def _bytes(wire: WireType) -> Reading:
    return Kind.BYTES, None if wire.base == "bytes" else numbers.read_base64


def _float(_: WireType) -> Reading:
    return Kind.FLOAT, numbers.read_float


def _array(wire: WireType) -> Reading:
    reader = reading_of(wire.items)[1] if wire.items else None
    return Kind.ARRAY, _array_reader(reader)


def _array_reader(reader: Reader | None) -> Reader:
    def read_array(value: Any) -> list[Any]:
        if type(value) is not list:
            raise ValueError("no array")
        if reader is None:
            return value
        return [None if each is None else reader(each) for each in value]

    return read_array


def _map(wire: WireType) -> Reading:
    reader = reading_of(wire.items)[1] if wire.items else None

    def read_map(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("no map")  # noqa: TRY004  readers raise ValueError for every wrong value
        return {key: _plain(reader, each) for key, each in value.items()}

    return Kind.JSON, read_map


def _pairs(wire: WireType) -> Reading:
    key_reader = reading_of(wire.keys)[1] if wire.keys else None
    reader = reading_of(wire.items)[1] if wire.items else None

    def read_pairs(value: Any) -> dict[str, Any]:
        if not isinstance(value, list) or any(not isinstance(each, list) or len(each) != 2 for each in value):
            raise ValueError("no map")
        return {str(_plain(key_reader, key)): _plain(reader, each) for key, each in value}

    return Kind.JSON, read_pairs


def _struct(wire: WireType) -> Reading:
    readers = {name: reading_of(each)[1] for name, each in wire.fields}

    def read_struct(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("no struct")  # noqa: TRY004  readers raise ValueError for every wrong value
        return {name: _plain(readers.get(name), each) for name, each in value.items()}

    return Kind.JSON, read_struct


def _plain(reader: Reader | None, value: Any) -> Any:
    return to_plain(value if reader is None or value is None else reader(value))


def _read_uuid(value: Any) -> UUID:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise ValueError("no UUID") from None


def _read_uuid_bytes(value: Any) -> UUID:
    try:
        return UUID(bytes=value)
    except (ValueError, TypeError):
        raise ValueError("no UUID") from None


def _read_json(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("no JSON text")
    return value


_CONNECT = "org.apache.kafka.connect.data"
_TIME = "io.debezium.time"
_DATA = "io.debezium.data"

_BY_BASE: Mapping[str, Callable[[WireType], Reading]] = {
    "integer": _fixed(Kind.INTEGER, None),
    "float": _float,
    "single": _fixed(Kind.FLOAT, numbers.read_single),
    "boolean": _fixed(Kind.BOOLEAN, None),
    "string": _fixed(Kind.TEXT, None),
    "bytes": _bytes,
    "base64": _bytes,
    "array": _array,
    "map": _map,
    "pairs": _pairs,
    "struct": _struct,
    "unknown": _fixed(Kind.UNKNOWN, None),
}

_BY_BASE_AND_NAME: Mapping[tuple[str, str], Callable[[WireType], Reading | None]] = {
    ("string", f"{_CONNECT}.Decimal"): _fixed(Kind.DECIMAL, numbers.read_decimal_text),
}

_BY_NAME: Mapping[tuple[str, str], Callable[[WireType], Reading | None]] = {
    ("", name): make
    for name, make in {
        f"{_CONNECT}.Decimal": _decimal,
        f"{_CONNECT}.Date": _fixed(Kind.DATE, temporal.read_date),
        f"{_CONNECT}.Time": _fixed(Kind.TIME, temporal.read_time_millis),
        f"{_CONNECT}.Timestamp": _fixed(Kind.TIMESTAMP, temporal.read_timestamp_millis),
        f"{_TIME}.Date": _fixed(Kind.DATE, temporal.read_date),
        f"{_TIME}.Time": _fixed(Kind.TIME, temporal.read_time_millis),
        f"{_TIME}.MicroTime": _fixed(Kind.TIME, temporal.read_time_micros),
        f"{_TIME}.NanoTime": _fixed(Kind.TIME, temporal.read_time_nanos),
        f"{_TIME}.ZonedTime": _fixed(Kind.TIME, temporal.read_zoned_time),
        f"{_TIME}.Timestamp": _fixed(Kind.TIMESTAMP, temporal.read_timestamp_millis),
        f"{_TIME}.MicroTimestamp": _fixed(Kind.TIMESTAMP, temporal.read_timestamp_micros),
        f"{_TIME}.NanoTimestamp": _fixed(Kind.TIMESTAMP, temporal.read_timestamp_nanos),
        f"{_TIME}.ZonedTimestamp": _fixed(Kind.TIMESTAMP_TZ, temporal.read_zoned_timestamp),
        f"{_TIME}.IsoDate": _fixed(Kind.DATE, temporal.read_iso_date),
        f"{_TIME}.IsoTime": _fixed(Kind.TIME, temporal.read_iso_time),
        f"{_TIME}.IsoTimestamp": _fixed(Kind.TIMESTAMP, temporal.read_iso_timestamp),
        f"{_TIME}.Year": _fixed(Kind.INTEGER, None),
        f"{_TIME}.Interval": _fixed(Kind.INTERVAL, temporal.read_interval),
        f"{_TIME}.MicroDuration": _fixed(Kind.INTERVAL, temporal.read_duration_micros),
        f"{_TIME}.NanoDuration": _fixed(Kind.INTERVAL, temporal.read_duration_nanos),
        "avro.timestamp-millis": _fixed(Kind.TIMESTAMP_TZ, temporal.read_instant_millis),
        "avro.timestamp-micros": _fixed(Kind.TIMESTAMP_TZ, temporal.read_instant_micros),
        "avro.timestamp-nanos": _fixed(Kind.TIMESTAMP_TZ, temporal.read_instant_nanos),
        "avro.uuid": _fixed(Kind.UUID, _read_uuid_bytes),
        f"{_DATA}.Json": _fixed(Kind.JSON, _read_json),
        f"{_DATA}.Uuid": _fixed(Kind.UUID, _read_uuid),
        f"{_DATA}.VariableScaleDecimal": _variable_decimal,
        f"{_DATA}.Bits": _bits,
        **{name: _fixed(kind, reader) for name, (kind, reader) in STRUCTURED.items()},
        **{name: _fixed(kind, reader) for name, (kind, reader) in NAMED.items()},
    }.items()
}
