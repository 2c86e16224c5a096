"""Whether what one schema writes can be read with another, tried with examples of every branch a schema has."""

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from fastavro import schemaless_reader, schemaless_writer
from fastavro.repository.base import SchemaRepositoryError
from fastavro.schema import SchemaParseException

from schemas.avro_schemas import parse_plain

_EXAMPLES: Mapping[str, tuple[Any, ...]] = {
    "null": (None,),
    "boolean": (False, True),
    "int": (0, 2**31 - 1, -(2**31)),
    "long": (0, 2**63 - 1, -(2**63)),
    "float": (0.5,),
    "double": (0.5, 1e300),
    "string": ("", "ö"),
    "bytes": (b"", b"\xff"),
}


def breaks(writer: str, reader: str) -> str | None:
    """Return what goes wrong where `reader` meets what `writer` wrote; None where nothing does."""
    try:
        ours, theirs = parse_plain(reader), parse_plain(writer)
    except (SchemaParseException, SchemaRepositoryError, ValueError) as error:
        return repr(error)
    for example in _examples(json.loads(writer), "", {}):
        stream = BytesIO()
        schemaless_writer(stream, theirs, example)
        stream.seek(0)
        try:
            read = schemaless_reader(stream, theirs, ours)
        except Exception as error:  # noqa: BLE001  whatever fastavro raises is the answer
            return repr(error)
        if not _agree(_untagged(example), read):
            return f"{example!r} is read as {read!r}"
    return None


def _examples(schema: Any, space: str, named: dict[str, Any]) -> Iterator[Any]:
    match schema:
        case list():
            for branch in schema:
                yield from (_tagged(branch, space, each) for each in _examples(branch, space, named))
        case str() if schema in _EXAMPLES:
            yield from _EXAMPLES[schema]
        case str():
            yield from _examples(named[_full(schema, space)], space, named)
        case {"type": "record", "name": name, "fields": fields}:
            inner = schema.get("namespace", space)
            named[_full(name, inner)] = schema
            yield from _records([(each["name"], each["type"]) for each in fields], inner, named)
        case {"type": "enum", "name": name, "symbols": symbols}:
            named[_full(name, schema.get("namespace", space))] = schema
            yield from symbols
        case {"type": "array", "items": items}:
            yield []
            yield from ([each] for each in _examples(items, space, named))
        case {"type": "map", "values": values}:
            yield {}
            yield from ({"k": each} for each in _examples(values, space, named))
        case {"type": inner_type}:
            yield from _examples(inner_type, space, named)


def _records(fields: list[tuple[str, Any]], space: str, named: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Vary one field at a time."""
    choices = {name: list(_examples(kind, space, named)) for name, kind in fields}
    plain = {name: each[0] for name, each in choices.items()}
    yield plain
    for name, each in choices.items():
        yield from ({**plain, name: value} for value in each[1:])


def _tagged(branch: Any, space: str, example: Any) -> Any:
    match branch:
        case {"name": name}:
            return (_full(name, branch.get("namespace", space)), example)
        case {"type": "map" | "array" as kind}:
            return (kind, example)
        case str() if branch not in _EXAMPLES:
            return (_full(branch, space), example)
    return example


def _untagged(example: Any) -> Any:
    match example:
        case tuple():
            return _untagged(example[1])
        case dict():
            return {key: _untagged(each) for key, each in example.items()}
        case list():
            return [_untagged(each) for each in example]
    return example


def _agree(written: Any, read: Any) -> bool:
    """Whether the fields that both have are the same."""
    if isinstance(written, dict) and isinstance(read, dict):
        return all(_agree(written[name], read[name]) for name in written.keys() & read.keys())
    if isinstance(written, list) and isinstance(read, list):
        return len(written) == len(read) and all(map(_agree, written, read))
    return bool(written == read)


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
