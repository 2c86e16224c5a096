"""What pydantic found wrong with the data, in words for the person who wrote the file."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.config.model import config_schema
from schemas.config.problem import Path, did_you_mean

_WORDS = {
    "missing": "is missing",
    "string_type": "must be a text. Put it in quotes.",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "invalid_key": "must be a text. Put it in quotes.",
}
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$": "may only have letters, digits, '.', '_' and '-', begins with a letter or digit, and has 100 at most",
    r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}$": "is no name that a Kafka topic can have: letters, digits, '.', '_' and '-', 249 at most",
    r"^https?://\S+$": "must be a URL that begins with http:// or https://",
    r"^https?://[^\s@]+$": "must be a URL that begins with http:// or https://; user and password have keys of their own",
}
_KEY = "[key]"


def violations(invalid: ValidationError) -> Iterator[tuple[Path, str]]:
    """Yield the path and the words of every error, leaving out those that only follow from another."""
    errors = invalid.errors(include_url=False)
    paths = [_path(error) for error in errors]
    for error, path in zip(errors, paths, strict=True):
        follows = error["type"] == "too_short" and any(
            len(other) > len(path) and other[: len(path)] == path for other in paths
        )
        if not follows:
            yield path, _words(error, path)


def _path(error: ErrorDetails) -> Path:
    location = error["loc"]
    if location[-1:] == (_KEY,):
        return (*location[:-2], str(location[-2]))
    return location


def _words(error: ErrorDetails, path: Path) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "instep":
            return str(context["what"])
        case "extra_forbidden":
            return _unknown_key(path)
        case "literal_error":
            return _unknown_choice(str(context["expected"]), error["input"])
        case "string_pattern_mismatch":
            pattern = str(context["pattern"])
            return _PATTERNS.get(pattern, f"must match {pattern}")
        case kind if kind in _WORDS:
            return _WORDS[kind].format_map(context)
        case _:
            return error["msg"]


def _unknown_key(path: Path) -> str:
    known = _known_keys(path[:-1])
    hint = did_you_mean(str(path[-1]), known)
    return f'unknown key "{path[-1]}".{hint or " Known here: " + ", ".join(sorted(known)) + "."}'


def _unknown_choice(expected: str, value: object) -> str:
    choices = [word for word in expected.split("'")[1::2] if word]
    hint = did_you_mean(str(value), choices) if isinstance(value, str) else ""
    return f"must be {expected.replace(chr(39), '')}.{hint}"


def _known_keys(path: Path) -> set[str]:
    """Return the keys that the model has at a path, found in its JSON Schema."""
    schema = config_schema()
    nodes = list(_alternatives(schema, schema))
    for step in path:
        nodes = [
            inner
            for node in nodes
            for child in _children(node, step)
            for inner in _alternatives(child, schema)
        ]
    return {key for node in nodes for key in node.get("properties", {})}


def _children(node: Mapping[str, Any], step: str | int) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, int):
        yield node.get("items", {})
        return
    yield node.get("properties", {}).get(step, {})
    yield from node.get("patternProperties", {}).values()
    if isinstance(node.get("additionalProperties"), dict):
        yield node["additionalProperties"]


def _alternatives(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in node:
        yield from _alternatives(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], schema)
    for part in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _alternatives(part, schema)
    yield node
