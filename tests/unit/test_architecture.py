"""The rules of the house, each as a test; ARCHITECTURE.md tells why."""

import re
import subprocess
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.unit import house

# Which other rooms the modules of a room may import.
MAY_IMPORT: dict[str, set[str]] = {
    "schemas": set(),
    "plumbing": {"schemas"},
    "worker": {"schemas", "plumbing"},
    "sink": {"schemas", "plumbing"},
    "demo": {"schemas", "plumbing"},
    "instep": {"schemas", "plumbing", "worker", "sink", "demo"},
}

# What reaches outside the process, or asks the clock, the environment or chance.
EFFECTS = frozenset(
    {
        *(
            "alembic",
            "fastapi",
            "httpx2",
            "kafka",
            "pathlib",
            "psycopg",
            "pymysql",
            "sqlalchemy",
            "sqlite3",
            "uvicorn",
        ),
        *("http", "os", "random", "secrets", "shutil", "signal", "socket", "ssl", "stamina", "structlog"),
        *("subprocess", "tempfile", "threading", "time", "urllib.request"),
    }
)
ASKS_THE_CLOCK = re.compile(r"(^|\.)(now|utcnow|today|uuid1|uuid4)$")
OPENS = re.compile(r"^(open|io\.open|.*\.open)$")

# A module that calls itself pure is held to it; these have to.
DECISIONS = {
    "worker.batch",
    "worker.decide",
    "worker.decode",
    "worker.translate",
    "sink.states",
}

# The boundaries that turn anything unexpected into a value (DESIGN's "one except per boundary").
BOUNDARIES: set[str] = {
    "schemas.codec",  # bytes from outside, and what fastavro raises on them
    "worker.translate",  # whatever one record does to a conversion is that record's failure
    "worker.lane_runner",  # what breaks a lane's thread is handed to the loop
    "sink.web.faults",  # a bug of ours ends one request, which is answered 500
    "worker.app",  # a bug of ours ends the worker, which says so
}

MACHINE_PATH = re.compile(r"(?<![\w.}:/])/(home|root|Users|work|tmp/plan)/|\.library\b")


def purity_breaches(name: str) -> Iterator[str]:
    module = house.modules()[name]
    for imported in house.imports(module):
        if house.is_below(imported, EFFECTS):
            yield f"{name} imports {imported}"
    for called in house.calls(module):
        if ASKS_THE_CLOCK.search(called) or OPENS.match(called):
            yield f"{name} calls {called}()"


def test_rooms_import_only_what_the_house_allows() -> None:
    breaches = [
        f"{module.name} imports {name}"
        for module in house.product()
        for name in house.imports(module)
        if (room := name.partition(".")[0]) in house.ROOMS
        and room != module.room
        and room not in MAY_IMPORT[module.room]
    ]
    assert breaches == []


def test_command_line_loads_worker_and_sink_only_when_a_command_runs() -> None:
    breaches = [
        f"{module.name} imports {name} at its top"
        for module in house.product()
        if module.room == "instep"
        for name in house.imports(module, anywhere=False)
        if house.is_below(name, frozenset({"worker", "sink", "demo"}))
    ]
    assert breaches == []


def test_schemas_open_nothing_and_ask_nothing() -> None:
    schemas = [module.name for module in house.product() if module.room == "schemas"]
    assert [breach for name in schemas for breach in purity_breaches(name)] == []


def test_pure_modules_and_all_they_import_are_free_of_effects() -> None:
    pure = [module for module in house.product() if re.search(r"\bPure\b", module.docstring)]
    breaches = {
        f"{module.name}: {breach}"
        for module in pure
        for name in house.reachable(module)
        for breach in purity_breaches(name)
    }
    assert breaches == set()
    assert {module.name for module in pure} >= DECISIONS


def test_no_import_cycles_not_even_for_types() -> None:
    graph = {name: house.own_imports(module) for name, module in house.modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None


def test_no_file_is_longer_than_400_lines() -> None:
    long = {m.name: n for m in house.modules().values() if (n := len(m.text.splitlines())) > 400}
    assert long == {}


def test_no_function_is_longer_than_40_lines() -> None:
    long = {
        f"{module.name}.{function.name}": lines
        for module in house.modules().values()
        for function in house.functions(module)
        if (lines := house.length(function)) > 40
    }
    assert long == {}


def test_only_boundaries_catch_everything() -> None:
    catching = {module.name for module in house.product() if house.catches_everything(module)}
    assert catching - BOUNDARIES == set()


def test_no_file_names_a_path_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=house.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = [house.ROOT / name for name in listed.stdout.split("\0") if name]
    own = Path(__file__)
    breaches = [
        f"{file.relative_to(house.ROOT)}: {found.group()}"
        for file in files
        if file != own and file.is_file() and (found := MACHINE_PATH.search(file.read_text(errors="replace")))
    ]
    assert breaches == []
