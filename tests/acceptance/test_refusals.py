"""A user's mistake ends a command with a message and an exit code, and never with a traceback."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from instep.exit import Exit
from tests.command import run_instep

RIGHT = """\
kafka: {bootstrap: "127.0.0.1:1", group: erp-crm}
apps:
  erp: {}
  crm: {connector: sql, url: "sqlite:///crm.db"}
mappings:
  customers:
    source: {app: erp, entity: customers, topic: erp.customers, key: number}
    target: {app: crm, entity: account, key: account_number}
    on_delete: propagate
"""
# What is replaced in a file that is right, by what; what stands in the message.
MISTAKES = {
    "unknown key": (
        "on_delete",
        "on_delet",
        'mappings.customers.on_delet: unknown key "on_delet". Did you mean "on_delete"?',
    ),
    "wrong type": ("group: erp-crm", "group: [x]", "kafka.group: must be a text"),
    "missing secret": (
        "sqlite:///crm.db",
        "mysql://u:${NOT_SET}@h/d",
        "apps.crm.url: the environment variable NOT_SET is not set",
    ),
    "missing secret file": (
        "group: erp-crm",
        "group: '${file:nowhere}'",
        "the secret file nowhere cannot be read",
    ),
    "unknown app": (
        "app: crm",
        "app: crn",
        'mappings.customers.target.app: unknown app "crn"; known are crm, erp. Did you mean "crm"?',
    ),
    "unknown connector": ("connector: sql", "connector: slq", 'apps.crm.connector: unknown connector "slq"'),
    "not YAML": ("apps:", "apps: [", "not valid YAML at column"),
    "key twice": ("  erp: {}", "  erp: {}\n  erp: {}", "apps.erp: stands here twice"),
    "client option": (
        "group: erp-crm",
        "group: g, client: {fetch_max_byte: 1}",
        'kafka.client.fetch_max_byte: is no option of Kafka\'s client. Did you mean "fetch_max_bytes"?',
    ),
    "client option of the wrong type": (
        "group: erp-crm",
        "group: g, client: {fetch_max_bytes: x}",
        "kafka.client.fetch_max_bytes: must be a number",
    ),
    "client option of ours": (
        "group: erp-crm",
        "group: g, client: {acks: 0}",
        "kafka.client.acks: is set by Instep",
    ),
    "same topic and target": (
        "mappings:\n",
        (
            "mappings:\n  twin:\n    source: {app: erp, entity: c, topic: erp.customers, key: n}\n"
            "    target: {app: crm, entity: account, key: a}\n    on_delete: ignore\n"
        ),
        'mappings.customers: has the same topic and the same target entity as mapping "twin"',
    ),
}


def instep(
    folder: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run_instep(*arguments, folder=folder, environment=environ)


def refused(answer: subprocess.CompletedProcess[str]) -> str:
    assert answer.returncode == Exit.WRONG_USE, answer.stderr
    assert "Traceback" not in answer.stderr
    return answer.stderr


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_configuration_is_refused_with_file_and_path(tmp_path: Path, mistake: str) -> None:
    right, wrong, words = MISTAKES[mistake]
    (tmp_path / "instep.yaml").write_text(RIGHT.replace(right, wrong))

    message = refused(instep(tmp_path, "config", "check"))

    assert message.startswith("instep.yaml:")
    assert words in message


@pytest.mark.parametrize(
    "command",
    [["worker"], ["sink"], ["topics", "list"], ["topics", "create"], ["db", "upgrade"], ["errors", "list"]],
)
def test_every_command_refuses_a_wrong_configuration_before_anything_else(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "instep.yaml").write_text(RIGHT.replace("on_delete", "on_delet"))

    assert 'Did you mean "on_delete"?' in refused(instep(tmp_path, *command))
    assert [file.name for file in tmp_path.iterdir()] == ["instep.yaml"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    message = refused(instep(tmp_path, "worker", "-c", "nowhere.yaml"))

    assert (
        message
        == "nowhere.yaml: cannot be read: No such file or directory. Name the file with -c FILE or INSTEP_CONFIG.\n"
    )


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in refused(instep(tmp_path, "worker", "-c", "."))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"a: 1\nb: \xff\n", "instep.yaml:2: is not UTF-8 text"),
        (bytes(range(9)), "control"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "instep.yaml").write_bytes(content)

    assert words in refused(instep(tmp_path, "config", "check"))


def test_a_right_file_is_right(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(RIGHT.replace("sqlite:///crm.db", "${URL}"))
    environ = {"INSTEP_CONFIG": "other.yaml", "URL": "sqlite:///crm.db"}

    answer = instep(tmp_path, "config", "check", environ=environ)

    assert (answer.returncode, answer.stdout) == (Exit.DONE, "other.yaml is right: 1 mapping.\n")


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["worker", "--bogus"], ["topics", "create", "--partitions", "0"]]
)
def test_wrong_use(tmp_path: Path, arguments: list[str]) -> None:
    assert "Usage: instep" in refused(instep(tmp_path, *arguments))


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "instep.yaml").write_text(RIGHT)

    answer = instep(tmp_path, "topics", "list")

    assert answer.returncode == Exit.UNREACHABLE
    assert answer.stderr == "Kafka at 127.0.0.1:1 cannot be reached: Connection refused\n"


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "instep.yaml").write_text(
        f"{RIGHT}worker: {{state: {{url: 'postgresql://u:hunter2@127.0.0.1:1/d'}}}}\n"
    )

    answer = instep(tmp_path, "db", "upgrade")

    assert answer.returncode == Exit.UNREACHABLE
    assert answer.stderr.startswith("the worker state cannot be upgraded: ")
    assert "hunter2" not in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_unknown_error_code(tmp_path: Path) -> None:
    assert 'Did you mean "too_long"?' in refused(instep(tmp_path, "explain", "too_lang"))


def test_explains_a_code(tmp_path: Path) -> None:
    answer = instep(tmp_path, "explain", "too_long")

    assert answer.returncode == Exit.DONE
    assert "What to do" in answer.stdout


def test_lists_every_code(tmp_path: Path) -> None:
    answer = instep(tmp_path, "explain")

    assert answer.returncode == Exit.DONE
    assert {"too_long", "reference_missing", "bug"} <= set(answer.stdout.split())
