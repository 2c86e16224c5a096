"""The error catalogue: every code with its cause, who fixes it, and what is tried again. Read from package data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_PARAMETER = re.compile(r"\{(\w+)\}")


class Category(StrEnum):
    """What kind of trouble a code is; a label of the metrics."""

    COUPLING = "coupling"
    CONFLICT = "conflict"
    DATA = "data"
    SETUP = "setup"
    TRANSIENT = "transient"
    POISON = "poison"
    INTERNAL = "internal"
    FOREIGN = "foreign"


class Scope(StrEnum):
    """What a failure is about: this record, this record for the moment, another record, or the whole app."""

    RECORD = "record"
    SELF_HEALING = "self_healing"
    DEPENDENCY = "dependency"
    APP = "app"


class Fixer(StrEnum):
    """Who can put it right; nobody: it heals itself."""

    USER = "user"
    ADMIN = "admin"
    DEVELOPER = "developer"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Retry:
    """Tries at once, with jitter, then the delays of the sink's retries; () is none."""

    in_place: int
    schedule_s: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """One error code. `message` is a template with {parameters} and [optional parts]; `say` fills it in."""

    name: str
    category: Category
    scope: Scope
    title: str
    cause: str
    fixer: Fixer
    steps: tuple[str, ...]
    decisions: tuple[str, ...]
    retry: Retry
    message: str

    def say(self, parameters: Mapping[str, object]) -> str:
        """Return the message: parts in brackets only where all their parameters are known, others as "(name)"."""

        def optional(part: re.Match[str]) -> str:
            text = part[1]
            return text if all(name in parameters for name in _PARAMETER.findall(text)) else ""

        wanted = _OPTIONAL.sub(optional, self.message)
        return _PARAMETER.sub(lambda name: str(parameters.get(name[1], f"({name[1]})")), wanted)


@cache
def catalogue() -> Mapping[str, Code]:
    """Return every code by name, in the order of the file."""
    document = yaml.safe_load(files("schemas").joinpath("catalogue.yaml").read_text("utf-8"))
    policies = {Scope(name): _retry(policy) for name, policy in document["retry"].items()}
    return MappingProxyType({name: _code(name, entry, policies) for name, entry in document["codes"].items()})


def _code(name: str, entry: Mapping[str, Any], policies: Mapping[Scope, Retry]) -> Code:
    scope = Scope(entry["scope"])
    return Code(
        name=name,
        category=Category(entry["category"]),
        scope=scope,
        title=entry["title"],
        cause=entry["cause"],
        fixer=Fixer(entry["fixer"]),
        steps=tuple(entry["steps"]),
        decisions=tuple(entry["decisions"]),
        retry=_retry(entry["retry"]) if "retry" in entry else policies[scope],
        message=entry["message"],
    )


def _retry(policy: Mapping[str, Any]) -> Retry:
    return Retry(policy["in_place"], tuple(policy["schedule_s"]))
