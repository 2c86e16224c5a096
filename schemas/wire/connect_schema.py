"""The schema that Kafka Connect's JSON converter writes beside each payload."""

from collections.abc import Mapping
from typing import Any

from schemas.wire.wire_type import UNKNOWN, Base, WireType

_BASES: Mapping[str, Base] = {
    **dict.fromkeys(("int8", "int16", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "float32", "double", "float64"), "float"),
    "boolean": "boolean",
    "string": "string",
    "bytes": "base64",
    "array": "array",
    "map": "map",
    "struct": "struct",
}


def wire_type(schema: Any) -> WireType:
    """Return what a Connect schema (parsed JSON) says; raises TypeError, ValueError or KeyError when it is none."""
    if not isinstance(schema, dict):
        raise TypeError("a schema is an object")
    base = _BASES.get(str(schema.get("type")))
    if base is None:
        return UNKNOWN
    name = str(schema.get("name") or "")
    parameters = {str(key): str(value) for key, value in (schema.get("parameters") or {}).items()}
    match base:
        case "struct":
            fields = tuple((str(each["field"]), wire_type(each)) for each in schema.get("fields") or ())
            return WireType("struct", name, parameters, fields=fields)
        case "array":
            return WireType("array", name, parameters, items=wire_type(schema["items"]))
        case "map":
            keys = wire_type(schema["keys"])
            written: Base = "map" if keys.base == "string" else "pairs"
            return WireType(written, name, parameters, items=wire_type(schema["values"]), keys=keys)
    return WireType(base, name, parameters)
