"""The Avro schema that a registry holds, as wire types; Kafka Connect's converter leaves its own names in it."""

from collections.abc import Mapping
from typing import Any

from schemas.wire.wire_type import UNKNOWN, Base, WireType

_CONNECT = "org.apache.kafka.connect.data"
_BASES: Mapping[str, Base] = {
    "int": "integer",
    "long": "integer",
    "float": "single",
    "double": "float",
    "boolean": "boolean",
    "string": "string",
    "bytes": "bytes",
    "fixed": "bytes",
    "enum": "string",
}
# Avro's own logical types where Connect gives no name; a timestamp of Avro is an instant, a local one is zone-less.
_LOGICAL: Mapping[tuple[str, str], str] = {
    ("int", "date"): f"{_CONNECT}.Date",
    ("int", "time-millis"): f"{_CONNECT}.Time",
    ("long", "time-micros"): "io.debezium.time.MicroTime",
    ("long", "timestamp-millis"): "avro.timestamp-millis",
    ("long", "timestamp-micros"): "avro.timestamp-micros",
    ("long", "timestamp-nanos"): "avro.timestamp-nanos",
    ("long", "local-timestamp-millis"): "io.debezium.time.Timestamp",
    ("long", "local-timestamp-micros"): "io.debezium.time.MicroTimestamp",
    ("long", "local-timestamp-nanos"): "io.debezium.time.NanoTimestamp",
    ("string", "uuid"): "io.debezium.data.Uuid",
    ("fixed", "uuid"): "avro.uuid",
    ("bytes", "decimal"): f"{_CONNECT}.Decimal",
    ("fixed", "decimal"): f"{_CONNECT}.Decimal",
}


def wire_type(schema: Any) -> WireType:
    """Return what a parsed Avro schema says; raises TypeError, ValueError or KeyError when it is none."""
    return _wire_type(schema, {}, "")


def without_logical_types(schema: Any) -> Any:
    """Return an Avro schema that decodes to plain values: they are converted later, those that are needed."""
    if isinstance(schema, dict):
        return {name: without_logical_types(value) for name, value in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [without_logical_types(each) for each in schema]
    return schema


def _wire_type(schema: Any, known: dict[str, WireType], space: str) -> WireType:
    match schema:
        case str():
            return _by_name(schema, known, space)
        case list():
            branches = [each for each in schema if each not in ("null", {"type": "null"})]
            types = [_wire_type(each, known, space) for each in branches]  # all, as each may define a name
            return types[0] if len(types) == 1 else UNKNOWN
        case {"type": dict() | list() as inner}:
            return _wire_type(inner, known, space)
        case {"type": str() as kind}:
            return _complex(kind, schema, known, space)
    raise TypeError("no Avro schema")


def _by_name(name: str, known: dict[str, WireType], space: str) -> WireType:
    if name in _BASES:
        return WireType(_BASES[name])
    return known.get(_full_name(name, space), UNKNOWN)


def _complex(kind: str, schema: Mapping[str, Any], known: dict[str, WireType], space: str) -> WireType:
    match kind:
        case "record" | "error":
            return _record(schema, known, space)
        case "array":
            return WireType(
                "array", str(schema.get("connect.name", "")), items=_wire_type(schema["items"], known, space)
            )
        case "map":
            items = _wire_type(schema["values"], known, space)
            return WireType("map", str(schema.get("connect.name", "")), items=items, keys=WireType("string"))
    if kind not in _BASES:
        return _by_name(kind, known, space)
    name = str(schema.get("connect.name") or _LOGICAL.get((kind, str(schema.get("logicalType"))), ""))
    parameters = {str(key): str(value) for key, value in (schema.get("connect.parameters") or {}).items()}
    if "scale" not in parameters and schema.get("logicalType") == "decimal":
        parameters["scale"] = str(schema.get("scale", 0))
    wire = WireType(_BASES[kind], name, parameters)
    if kind in {"enum", "fixed"}:
        known[_full_name(schema["name"], schema.get("namespace", space))] = wire
    return wire


def _record(schema: Mapping[str, Any], known: dict[str, WireType], space: str) -> WireType:
    full = _full_name(schema["name"], schema.get("namespace", space))
    inner = full.rpartition(".")[0]
    known[full] = UNKNOWN  # a record inside itself
    fields = tuple((str(each["name"]), _wire_type(each["type"], known, inner)) for each in schema["fields"])
    parameters = {str(key): str(value) for key, value in (schema.get("connect.parameters") or {}).items()}
    wire = WireType("struct", str(schema.get("connect.name") or full), parameters, fields=fields)
    known[full] = wire
    return wire


def _full_name(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
