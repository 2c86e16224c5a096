import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from plumbing.logs import configure_logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure_logs(stream)
    yield stream
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def logged(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object(lines: io.StringIO) -> None:
    structlog.get_logger().info("applied\nbatch", mapping="customers", records=7)

    (line,) = logged(lines)
    assert (line["event"], line["level"], line["mapping"], line["records"]) == (
        "applied\nbatch",
        "info",
        "customers",
        7,
    )
    assert line["timestamp"].endswith("Z")


def test_libraries_log_in_the_same_form(lines: io.StringIO) -> None:
    logging.getLogger("other.package").warning("careful with %s", "this")

    assert logged(lines)[0]["event"] == "careful with this"


def test_the_kafka_client_keeps_its_reconnects_to_itself(lines: io.StringIO) -> None:
    logging.getLogger("kafka.net.connection").error("connect attempt failed")
    logging.getLogger("kafka.cluster").warning("no brokers")
    logging.getLogger("kafka.coordinator").warning("rejoining")

    assert logged(lines) == []


@pytest.mark.parametrize(
    "entry", [{"password": "hunter2"}, {"db_PASSWORD": "hunter2"}, {"url": SecretStr("hunter2")}]
)
def test_a_secret_becomes_stars(lines: io.StringIO, entry: dict[str, Any]) -> None:
    structlog.get_logger().info("opened", **entry)

    assert "hunter2" not in lines.getvalue()
    assert "***" in lines.getvalue()


def test_details_stay_out_unless_asked_for(lines: io.StringIO) -> None:
    structlog.get_logger().debug("detail")

    assert lines.getvalue() == ""


def test_an_exception_is_told_in_its_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")

    assert "ValueError: broken" in logged(lines)[0]["exception"]


def test_on_a_terminal_it_is_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    terminal = Terminal()
    configure_logs(terminal)
    structlog.get_logger().info("hello", records=7)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()

    assert "hello" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
