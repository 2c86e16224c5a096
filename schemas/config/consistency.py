"""What is wrong between parts of a configuration that are each right by themselves."""

from collections.abc import Collection, Iterator, Mapping
from string import Formatter

from schemas.config.app import AppConfig
from schemas.config.mapping import MappingConfig
from schemas.config.problem import Path, did_you_mean
from schemas.config.process import ForeignTopicConfig
from schemas.config.where import Refused

Found = tuple[Path, str]


def app_inconsistencies(apps: Mapping[str, AppConfig], connectors: Collection[str]) -> Iterator[Found]:
    """Yield the apps whose connector is not installed."""
    for name, app in apps.items():
        if app.connector is not None and app.connector not in connectors:
            listed = ", ".join(sorted(connectors)) or "none"
            hint = did_you_mean(app.connector, connectors)
            yield (
                ("apps", name, "connector"),
                f'unknown connector "{app.connector}"; installed: {listed}.{hint}',
            )


def mapping_inconsistencies(
    mappings: Mapping[str, MappingConfig],
    app_names: Collection[str] | None,
    apps: Mapping[str, AppConfig],
    own_topics: Collection[str],
) -> Iterator[Found]:
    """Yield what is wrong in mappings; `apps` are those of `app_names` that are well-formed, None leaves apps unchecked."""
    for name, mapping in mappings.items():
        path = ("mappings", name)
        if app_names is not None:
            yield from _apps(path, mapping, app_names, apps)
        yield from _keys(path, mapping)
        yield from _links(path, mapping)
        yield from _policies(path, mapping)
        if mapping.source.topic in own_topics:
            yield (*path, "source", "topic"), "is one of Instep's own topics, which carry no record changes"
    yield from _rivals(mappings)


def foreign_inconsistencies(
    foreign: Mapping[int, ForeignTopicConfig],
    mappings: Mapping[str, MappingConfig],
    own_topics: Collection[str],
) -> Iterator[Found]:
    """Yield what is wrong between dead letter topics of others (by their place in the list) and the rest."""
    read = {mapping.source.topic: name for name, mapping in mappings.items()}
    dead_letter_topics = {each.topic for each in foreign.values()}
    topics: set[str] = set()
    names: set[str] = set()
    for index, each in foreign.items():
        path = ("sink", "foreign", index)
        if each.topic in own_topics:
            yield (*path, "topic"), "is one of Instep's own topics, which hold no dead letters of others"
        elif each.topic in read:
            yield (
                (*path, "topic"),
                f'is the source topic of mapping "{read[each.topic]}", not a dead letter topic',
            )
        elif each.topic in topics:
            yield (*path, "topic"), "is in the list already: each topic is read once"
        if each.mapping in mappings:
            yield (
                (*path, "mapping"),
                "is the name of a mapping; dead letters of others need a name of their own",
            )
        elif each.mapping in names:
            yield (*path, "mapping"), "is the name of another dead letter topic; each needs one of its own"
        if each.replay_to in own_topics:
            yield (
                (*path, "replay_to"),
                "is one of Instep's own topics, on which nobody waits for this message",
            )
        elif each.replay_to in dead_letter_topics:
            yield (*path, "replay_to"), "is a dead letter topic: the message would come straight back"
        topics.add(each.topic)
        names.add(each.mapping)


def _apps(
    path: Path, mapping: MappingConfig, app_names: Collection[str], apps: Mapping[str, AppConfig]
) -> Iterator[Found]:
    source, target = mapping.source, mapping.target
    for side, app in (("source", source.app), ("target", target.app)):
        if app not in app_names:
            listed = ", ".join(sorted(app_names)) or "none"
            yield (
                (*path, side, "app"),
                f'unknown app "{app}"; known are {listed}.{did_you_mean(app, app_names)}',
            )
    if target.app in apps and apps[target.app].connector is None:
        yield (
            (*path, "target", "app"),
            f'"{target.app}" has no connector, so nothing can be written to it. Give it one in apps.{target.app}.',
        )
    if (source.app, source.entity) == (target.app, target.entity):
        yield (
            (*path, "target", "entity"),
            "is the entity that the changes come from: it would sync with itself",
        )


def _keys(path: Path, mapping: MappingConfig) -> Iterator[Found]:
    source, target = mapping.source.key, mapping.target.key
    if len(source) != len(target):
        yield (
            (*path, "target", "key"),
            f"has {len(target)} fields, but source.key has {len(source)}: they correspond one to one",
        )
        return
    pairs = dict(zip(target, source, strict=True))
    for index, field in enumerate(mapping.fields or ()):
        if field.target in pairs and field.source != pairs[field.target]:
            yield (
                (*path, "fields", index, "source" if field.source else "target"),
                f'"{field.target}" is part of target.key: its source must be "{pairs[field.target]}", as in source.key',
            )


def _links(path: Path, mapping: MappingConfig) -> Iterator[Found]:
    for name, side in (("source", mapping.source), ("target", mapping.target)):
        names = {field for _, field, _, _ in Formatter().parse(side.link or "") if field is not None}
        unknown = sorted(names - set(side.key))
        if unknown:
            listed = ", ".join(side.key)
            hint = did_you_mean(unknown[0], side.key)
            yield (*path, name, "link"), f'"{{{unknown[0]}}}" is no field of the key ({listed}).{hint}'


def _policies(path: Path, mapping: MappingConfig) -> Iterator[Found]:
    if mapping.source.tombstone == "delete" and mapping.on_delete == "ignore":
        yield (
            (*path, "source", "tombstone"),
            "a tombstone cannot count as a delete while on_delete is ignore. Choose skip, or another on_delete.",
        )
    if mapping.where is not None:
        from schemas.config.where_sql import (  # noqa: PLC0415  its SQL parser takes a tenth of a command's start
            parse_where,
        )

        parsed = parse_where(mapping.where)
        if isinstance(parsed, Refused):
            yield (*path, "where"), parsed.what


def _rivals(mappings: Mapping[str, MappingConfig]) -> Iterator[Found]:
    """Two mappings that write the same records from the same changes would overwrite each other for ever."""
    seen: dict[tuple[str, str, str], str] = {}
    for name, mapping in mappings.items():
        place = (mapping.source.topic, mapping.target.app, mapping.target.entity)
        if place in seen:
            yield (
                ("mappings", name),
                f'has the same topic and the same target entity as mapping "{seen[place]}". Join the two, or remove one.',
            )
        else:
            seen[place] = name
