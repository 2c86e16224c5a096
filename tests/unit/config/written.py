"""Configuration files for tests: one that is right, with parts of it changed."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from schemas.config.model import Config
from schemas.config.parse import parse_config
from schemas.config.problem import ConfigProblems, Problem

RIGHT: dict[str, Any] = {
    "kafka": {"bootstrap": "localhost:9092", "group": "erp-crm"},
    "apps": {"erp": {}, "crm": {"connector": "sql", "url": "sqlite:///crm.db"}},
    "mappings": {
        "customers": {
            "source": {"app": "erp", "entity": "customers", "topic": "erp.customers", "key": "number"},
            "target": {"app": "crm", "entity": "account", "key": "account_number"},
            "on_delete": "propagate",
        }
    },
}


def written(changes: Mapping[str, Any] | None = None, *, without: str = "") -> str:
    """The text of a file that is right but for `changes` (dotted path: value) and the path left out."""
    data = deepcopy(RIGHT)
    for path, value in (changes or {}).items():
        *outer, last = path.split(".")
        part = data
        for step in outer:
            part = part.setdefault(step, {})
        part[last] = value
    if without:
        *outer, last = without.split(".")
        part = data
        for step in outer:
            part = part[step]
        del part[last]
    return yaml.safe_dump(data, sort_keys=False)


def parsed(
    text: str, environ: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> Config:
    config = read(text, environ, files)
    assert isinstance(config, Config), str(config)
    return config


def problems(text: str, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    config = read(text, environ)
    assert isinstance(config, ConfigProblems)
    return config.problems


def read(
    text: str, environ: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> Config | ConfigProblems:
    def read_file(name: str) -> str:
        if name not in (files or {}):
            raise FileNotFoundError(2, "No such file or directory", name)
        return (files or {})[name]

    return parse_config(text, "instep.yaml", environ or {}, read_file, connectors=["sql"])
