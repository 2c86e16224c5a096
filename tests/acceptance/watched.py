"""A world that a real Prometheus watches, by our rules at a pace for tests."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.program import Program
from tests.acceptance.world import World
from tests.conftest import started
from tests.services.prometheus import Prometheus, PrometheusServer
from tests.unit.house import ROOT

DEPLOYED = ROOT / "deploy" / "prometheus"
# what the rules wait for: five minutes become a second
FASTER = 300
# more than the sink takes to look into its store again
SILENT_S = 12
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


@contextmanager
def watching(
    world: World, worker: Program, sink: Program, request: pytest.FixtureRequest
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes worker and sink every second and has seen both."""
    rules = world.folder / "rules.yml"
    rules.write_text(hurried((DEPLOYED / "rules.yml").read_text()))
    config = world.folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(configuration({"instep-worker": worker.port, "instep-sink": sink.port})))
    with started(lambda: PrometheusServer(config), request) as server:
        prometheus = server.prometheus
        world.until(lambda: len(prometheus.query("up == 1")) == 2, what="Prometheus sees worker and sink")
        yield prometheus


def hurried(rules: str) -> str:
    """Our rules with every `for` and every silence so much shorter."""

    def shorter(found: re.Match[str]) -> str:
        return f"for: {int(found[1]) * _UNITS_S[found[2]] * 1000 // FASTER}ms"

    rules = re.sub(r"\bfor: (\d+)([smh])$", shorter, rules, flags=re.MULTILINE)
    return re.sub(r"> 300$", f"> {SILENT_S}", rules, flags=re.MULTILINE)


def configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """Our configuration of Prometheus, for programs on these ports."""
    config: dict[str, Any] = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
    del config["alerting"]
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
    return config


def heard(world: World, sink: Program) -> bool:
    """Whether the sink has heard of workers of all mappings."""
    metrics = world.metrics(sink)
    seen = {
        name: value for name, value in metrics.items() if name.startswith("instep_worker_last_seen_timestamp")
    }
    return len(seen) == len(world.mappings) and all(seen.values())


def queries(dashboard: Path) -> dict[str, str]:
    """The queries of a Grafana dashboard by panel and letter, with its variables filled in as Grafana would."""
    found = {}
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$mapping", ".*").replace("$__rate_interval", "1m")
            assert "$" not in query, query
            found[f"{panel['title']} {target['refId']}"] = query
    return found
