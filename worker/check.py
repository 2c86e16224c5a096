"""What would keep a worker from applying changes, found by asking the target apps and without consuming anything."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from schemas.catalogue import catalogue
from schemas.config.mapping import MappingConfig
from schemas.config.model import Config
from worker.connectors.protocol import Connector, Refused
from worker.fault import Fault
from worker.lane import SCHEMA_CODES
from worker.mappings import compile_mapping, find_problems
from worker.opening import WrongConfiguration, open_connector
from worker.report import message_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where in the configuration it comes from; `unreachable` when only the app is away."""

    path: str
    what: str
    unreachable: bool = False


def check_apps(config: Config, *, connect: bool = True) -> list[Finding]:
    """Return what the target apps say against the mappings: absent tables and columns, keys, privileges, logins.

    Without `connect` only what their connectors say against their options.
    """
    findings: list[Finding] = []
    for app in dict.fromkeys(mapping.target.app for mapping in config.mappings.values()):
        mappings = {name: each for name, each in config.mappings.items() if each.target.app == app}
        opened = open_connector(app, config.apps[app])
        if isinstance(opened, WrongConfiguration):
            findings.append(Finding(opened.path, opened.what))
            continue
        with closing(opened):
            findings += _check_app(app, mappings, opened) if connect else ()
    return list(dict.fromkeys(findings))


def _check_app(app: str, mappings: Mapping[str, MappingConfig], connector: Connector) -> Iterator[Finding]:
    present: list[str] = []
    for name, mapping in mappings.items():
        described = connector.describe(mapping.target.entity)
        if isinstance(described, Refused):
            if described.fault.code not in SCHEMA_CODES:
                yield _finding(f"apps.{app}", described.fault)
                return
            yield _finding(f"mappings.{name}.target.entity", described.fault)
            continue
        present.append(mapping.target.entity)
        for fault in find_problems(compile_mapping(name, mapping, described)):
            yield _finding(f"mappings.{name}", fault)
    yield from _check_access(app, connector, present)


def _check_access(app: str, connector: Connector, entities: Sequence[str]) -> Iterator[Finding]:
    for fault in connector.check(list(dict.fromkeys(entities))):
        yield _finding(f"apps.{app}", fault)


def _finding(path: str, fault: Fault) -> Finding:
    return Finding(path, message_of(fault), unreachable=catalogue()[fault.code].category == "transient")
