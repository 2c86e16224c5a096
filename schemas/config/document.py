"""YAML text to plain data that remembers the line of everything in it.

Differs from YAML 1.1 where that surprises: a key may stand once in a mapping, and only true and false are booleans
(`no` is a country as often as a refusal).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from schemas.config.problem import Path, Problem, path_text

# Aliases can make a few lines grow without end; no honest configuration has this many values.
_MOST_VALUES = 100_000
_DEEPEST = 50
_EMPTY = "the file is empty. It needs at least kafka, apps and mappings."


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, and the line (from 1) at which each path of it stands."""

    data: Any
    lines: dict[Path, int]
    problems: tuple[Problem, ...]

    def line(self, path: Path) -> int | None:
        """Return the line of a path, or of the nearest part of the document around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


class _Loader(yaml.SafeLoader):
    """SafeLoader with booleans as in YAML 1.2."""


_BOOLEAN = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


@dataclass(slots=True)
class _Reading:
    """One pass over the nodes of a document."""

    file: str
    loader: _Loader
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    values: int = 0

    def problem(self, node: yaml.Node, path: Path, what: str) -> None:
        self.problems.append(Problem(self.file, path_text(path), node.start_mark.line + 1, what))

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self.values += 1
        if self.values > _MOST_VALUES or len(path) > _DEEPEST:
            raise _TooBig
        match node:
            case yaml.MappingNode():
                return dict(self.items(node, path))
            case yaml.SequenceNode():
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            case _:
                return self.scalar(node, path)

    def items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[Any, Any]]:
        seen: dict[Any, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, path, "a key must be a single word or number")
                continue
            key = self.scalar(key_node, path)
            line = key_node.start_mark.line + 1
            inner = (*path, key if isinstance(key, str) else str(key))
            if key in seen:
                self.problem(
                    key_node, inner, f"stands here twice, first in line {seen[key]}. Remove one of the two."
                )
                continue
            seen[key] = line
            self.lines[inner] = line
            yield key, self.value(value_node, inner)

    def scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, yaml.constructor.ConstructorError):
            self.problem(
                node, path, "cannot be read as the number, date or tag it looks like. Put it in quotes."
            )
            return None


class _TooBig(Exception):  # noqa: N818  control flow inside this file, no error of its own
    """The document has too many values or is nested too deep."""


def read_document(text: str, file: str) -> Document:
    """Parse YAML; what cannot be read comes back as problems with line and column, and `data` None."""
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return _unreadable(file, None, _EMPTY)
        reading = _Reading(file, loader)
        data = reading.value(node, ())
        if data is None and not reading.problems:
            return _unreadable(file, None, _EMPTY)
    except yaml.YAMLError as error:
        return _unreadable(file, *_yaml_problem(error))
    except (_TooBig, RecursionError):
        return _unreadable(file, None, "the file is nested too deep or its aliases never end.")
    finally:
        if loader is not None:
            loader.dispose()
    return Document(data, reading.lines, tuple(reading.problems))


def _unreadable(file: str, line: int | None, what: str) -> Document:
    return Document(None, {}, (Problem(file, "", line, what),))


def _yaml_problem(error: yaml.YAMLError) -> tuple[int | None, str]:
    # Only the parser's own words: its snippet of the file may show a secret.
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        if mark is not None:
            return mark.line + 1, f"not valid YAML at column {mark.column + 1}: {words}"
        return None, f"not valid YAML: {words}"
    if isinstance(error, yaml.reader.ReaderError):
        return None, f"not valid YAML: character {error.position} is a control character"
    return None, "not valid YAML"
