"""The text of a configuration file to a Config, or to everything that is wrong with it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.config.app import AppConfig
from schemas.config.consistency import (
    Found,
    app_inconsistencies,
    foreign_inconsistencies,
    mapping_inconsistencies,
)
from schemas.config.document import Document, read_document
from schemas.config.kafka import KafkaConfig
from schemas.config.mapping import MappingConfig
from schemas.config.model import Config
from schemas.config.problem import ConfigProblems, Problem, path_text
from schemas.config.process import ForeignTopicConfig
from schemas.config.secret import ReadSecretFile, SecretSource, fill
from schemas.config.violation import violations

_Part = TypeVar("_Part", bound=BaseModel)


def parse_config(
    text: str,
    file: str,
    environ: Mapping[str, str],
    read_secret_file: ReadSecretFile,
    *,
    connectors: Collection[str] | None = None,
) -> Config | ConfigProblems:
    """Return the checked configuration, or every problem of the file at once.

    `connectors` are the names of the installed ones; None leaves that unchecked. `read_secret_file` may raise OSError
    or UnicodeDecodeError, which become problems like any other.
    """
    document = read_document(text, file)
    if document.data is None:
        return ConfigProblems(document.problems)
    data, missing = fill(document.data, SecretSource(environ, read_secret_file))
    unfilled = {entry.path for entry in missing}
    found: list[Found] = [(entry.path, entry.what) for entry in missing]
    try:
        config = Config.model_validate(data)
    except ValidationError as invalid:
        found += [(path, what) for path, what in violations(invalid) if path not in unfilled]
        found += _across(data, connectors)
    else:
        found += _across(data, connectors)
        if not found and not document.problems:
            return config
    return _problems(document, file, found)


def _problems(document: Document, file: str, found: Iterable[Found]) -> ConfigProblems:
    problems = [Problem(file, path_text(path), document.line(path), what) for path, what in found]
    unique = dict.fromkeys((*document.problems, *problems))
    return ConfigProblems(tuple(sorted(unique, key=lambda problem: problem.line or 0)))


def _across(data: Any, connectors: Collection[str] | None) -> Iterator[Found]:
    """Check across the parts with every app and mapping that is right by itself, whatever is wrong elsewhere."""
    if not isinstance(data, dict):
        return
    raw_apps = data.get("apps")
    apps = _well_formed(raw_apps, AppConfig)
    if connectors is not None:
        yield from app_inconsistencies(apps, connectors)
    kafka = _well_formed({"kafka": data.get("kafka")}, KafkaConfig).get("kafka")
    own_topics = () if kafka is None else (kafka.errors_topic, kafka.replay_topic)
    if len(set(own_topics)) < len(own_topics):
        yield ("kafka", "errors_topic"), "must not be the topic of the replays"
    # Without a list of apps none of them is unknown.
    app_names = [str(name) for name in raw_apps] if isinstance(raw_apps, dict) else None
    mappings = _well_formed(data.get("mappings"), MappingConfig)
    yield from mapping_inconsistencies(mappings, app_names, apps, own_topics)
    sink = data.get("sink")
    listed = sink.get("foreign") if isinstance(sink, dict) else None
    foreign = dict(enumerate(listed)) if isinstance(listed, list | tuple) else {}
    yield from foreign_inconsistencies(_well_formed(foreign, ForeignTopicConfig), mappings, own_topics)


def _well_formed(parts: Any, kind: type[_Part]) -> dict[Any, _Part]:
    well_formed: dict[Any, _Part] = {}
    for name, part in parts.items() if isinstance(parts, dict) else ():
        try:
            well_formed[name] = kind.model_validate(part)
        except ValidationError:
            continue
    return well_formed
