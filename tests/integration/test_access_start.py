"""Where a sink refuses to serve, as its own process: beyond this machine without a token, with a wrong certificate."""

import signal
import subprocess
from pathlib import Path

import httpx2
import orjson
import pytest

from tests.command import Running, run_instep
from tests.services.certificates import write_certificates
from tests.services.process import free_port, wait_until
from tests.unit.config.written import RIGHT
from tests.web import sqlite_url

PATIENCE_S = 60


def write(folder: Path, **sink: object) -> Path:
    """Write a configuration whose Kafka is nowhere: a sink that serves goes on waiting for it."""
    settings = {"store": {"url": sqlite_url(folder)}, "listen": f"127.0.0.1:{free_port()}", **sink}
    kafka = {"bootstrap": "127.0.0.1:1", "group": "erp-crm"}
    file = folder / "instep.yaml"
    file.write_bytes(orjson.dumps({**RIGHT, "kafka": kafka, "sink": settings}))
    return file


def run(*command: str, file: Path) -> subprocess.CompletedProcess[str]:
    return run_instep(*command, "-c", file, folder=file.parent, timeout_s=PATIENCE_S)


@pytest.mark.parametrize(
    "settings", [{"listen": "0.0.0.0:0"}, {"listen": "[::]:0"}, {"trusted_proxies": ["127.0.0.1"]}]
)
def test_without_a_token_a_sink_serves_its_own_machine_alone(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    file = write(tmp_path, **settings)
    ended = run("sink", file=file)
    assert ended.returncode == 2
    assert "instep token create" in ended.stdout + ended.stderr


def test_with_a_token_a_sink_serves_beyond_its_machine(tmp_path: Path) -> None:
    port = free_port()
    file = write(tmp_path, listen=f"0.0.0.0:{port}")
    made = run("token", "create", "anna", "--role", "viewer", file=file)
    assert made.returncode == 0, made.stderr
    log = tmp_path / "log"
    sink = Running(["sink", "-c", str(file)], log, folder=tmp_path)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            transport_up(client)
            assert client.get("/api/v1/entries").status_code == 401
            bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}
            assert client.get("/api/v1/entries", headers=bearer).status_code == 200
            assert sink.poll() is None
    finally:
        sink.send_signal(signal.SIGTERM)
        sink.wait(PATIENCE_S)
    assert made.stdout.strip() not in log.read_text()


def transport_up(client: httpx2.Client) -> None:
    def serves() -> bool:
        try:
            client.get("/livez")
        except httpx2.TransportError:
            return False
        return True

    wait_until(serves, timeout_s=PATIENCE_S, what="the sink serves")


def test_a_certificate_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    file = write(tmp_path, tls={"certificate": str(tmp_path / "no.pem"), "key": str(tmp_path / "no.key")})
    ended = run("sink", file=file)
    assert ended.returncode == 2
    assert "sink.tls.certificate: cannot read" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_certificate_and_a_key_that_are_none_are_refused(tmp_path: Path) -> None:
    authority, _ = write_certificates(tmp_path)
    (tmp_path / "no.key").write_text("no key")
    for key in (tmp_path / "no.key", authority):
        file = write(tmp_path, tls={"certificate": str(authority), "key": str(key)})
        ended = run("sink", file=file)
        assert ended.returncode == 2
        assert "cannot be used together" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stdout + ended.stderr


def test_tokens_are_made_listed_and_revoked_at_the_command_line(tmp_path: Path) -> None:
    file = write(tmp_path)
    made = run("token", "create", "anna", "--role", "operator", "--expires", "90d", file=file)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("instep_")
    assert made.stdout.count("\n") == 1
    assert run("token", "create", "anna", "--role", "admin", file=file).returncode == 1
    assert run("token", "create", "first", "--role", "admin", "--first", file=file).stdout == ""

    listed = run("token", "list", file=file).stdout
    assert "anna" in listed
    assert "usable" in listed
    assert made.stdout.strip() not in listed
    assert run("token", "revoke", "anna", file=file).returncode == 0
    assert "revoked" in run("token", "list", "--json", file=file).stdout
    assert run("token", "revoke", "anna", file=file).returncode == 1


@pytest.mark.parametrize(
    "wrong",
    [("--role", "owner"), ("--role", "admin", "--expires", "soon"), ("--role", "admin", "--expires", "-1d")],
)
def test_a_token_that_is_asked_for_wrongly_is_refused_in_words(
    tmp_path: Path, wrong: tuple[str, ...]
) -> None:
    ended = run("token", "create", "anna", *wrong, file=write(tmp_path))
    assert ended.returncode == 2
    assert wrong[-2] in ended.stderr
    assert "Traceback" not in ended.stderr
