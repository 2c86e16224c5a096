"""docker-compose.yml, as a real Compose parser reads it."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.config.model import Config
from schemas.config.parse import parse_config
from tests.services.missing import refuse
from tests.unit.house import ROOT

ONE_SHOT = {"topics", "token"}
PASSWORDS = {"POSTGRES_PASSWORD": "first-secret", "INSTEP_DB_PASSWORD": "second-secret"}


Parse = Callable[[dict[str, str]], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def parse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Parse:
    program = shutil.which("docker-compose")
    if program is None:
        refuse(request, "docker-compose", "no docker-compose (Debian package docker-compose)")
    no_environment = tmp_path_factory.mktemp("compose") / "empty.env"
    no_environment.touch()
    command = [program, "--env-file", str(no_environment), "config"]

    def run(passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name not in PASSWORDS} | passwords
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="module")
def services(parse: Parse) -> dict[str, dict[str, Any]]:
    done = parse(PASSWORDS)
    assert done.returncode == 0, done.stderr
    parsed: dict[str, dict[str, Any]] = yaml.safe_load(done.stdout)["services"]
    return parsed


def address(port: str | dict[str, Any]) -> str:
    """The host address of a published port, in Compose's short form (version 1) or long form (version 2)."""
    return (
        str(port.get("host_ip", "")) if isinstance(port, dict) else port.rpartition(":")[0].rpartition(":")[0]
    )


def source(mount: str | dict[str, Any]) -> str:
    """What is mounted, in the short form or the long one."""
    return str(mount["source"]) if isinstance(mount, dict) else mount.partition(":")[0]


def test_everything_is_there(services: dict[str, dict[str, Any]]) -> None:
    instep, around = {"topics", "token", "worker-1", "worker-2", "sink"}, {"kafka", "postgres", "prometheus"}
    assert set(services) == instep | around | {"alertmanager"}


def test_every_lasting_service_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == ONE_SHOT


def test_nobody_runs_as_root(services: dict[str, dict[str, Any]]) -> None:
    users = {name: str(service.get("user", "0")) for name, service in services.items()}
    assert [name for name, user in users.items() if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)] == []


def test_file_systems_are_read_only_and_privileges_dropped(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_images_are_pinned_to_a_whole_version(services: dict[str, dict[str, Any]]) -> None:
    images = [service["image"] for service in services.values()]
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert [image for image in images if not re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)*$", image)] == []


def test_ports_are_open_to_this_machine_alone(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {address(port) for port in ports} == {"127.0.0.1"}


def test_mounted_files_exist(services: dict[str, dict[str, Any]]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    files = [Path(source(mount)) for mount in mounts if source(mount).startswith("/")]
    assert files != []
    assert [file for file in files if not file.is_file()] == []


def test_passwords_are_asked_for(parse: Parse) -> None:
    done = parse({})
    assert done.returncode != 0
    assert "deploy/compose/env.example" in done.stderr


def test_no_password_stands_in_the_file() -> None:
    written = (ROOT / "docker-compose.yml").read_text()
    assert re.findall(r"PASSWORD: (?!\$\{\w+:\?)", written) == []


def test_prometheus_scrapes_workers_and_sink(services: dict[str, dict[str, Any]]) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = {t for job in config["scrape_configs"] for c in job["static_configs"] for t in c["targets"]}
    assert targets == {"worker-1:9101", "worker-2:9101", "sink:8080"}
    alerted = {
        t
        for each in config["alerting"]["alertmanagers"]
        for c in each["static_configs"]
        for t in c["targets"]
    }
    assert alerted == {"alertmanager:9093"}
    assert {target.partition(":")[0] for target in targets | alerted} <= set(services)


def test_prometheus_finds_its_rules_beside_its_configuration(services: dict[str, dict[str, Any]]) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    mounted = [Path(source(mount)) for mount in services["prometheus"]["volumes"]]
    assert {str(ROOT / "deploy" / "prometheus" / name) for name in config["rule_files"]} <= set(
        map(str, mounted)
    )


def test_the_mounted_configuration_is_accepted() -> None:
    text = (ROOT / "deploy" / "compose" / "instep.yaml").read_text()
    config = parse_config(text, "instep.yaml", PASSWORDS, lambda _: "")
    assert isinstance(config, Config), config
