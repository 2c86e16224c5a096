"""No field value gets to a viewer: every page and answer that a viewer can get is read through for values that stand in messages,
traces, corrections and quarantine.
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import select

from schemas.events import Decision
from sink.actions import Actor
from sink.job_actions import JobOrder, start_job
from sink.roles import Role
from sink.store import tables
from sink.store.jobs import Job
from tests.contract.stored import ingest
from tests.page_world import AFTER, failure, original
from tests.sink_events import KafkaRecord, records
from tests.web import Served, served, sqlite_url

SECRET = "Zanzibar4711"
CORRECTED = "Timbuktu0815"
BAD = "Samarkand1234"
TRACED = "Marrakesh5678"
AT_LEAST_ANSWERS = 60
LINK = re.compile(r'(?:href|hx-get|action|src)="(/[^"#]*)"')


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("values")
    with served(sqlite_url(folder), {"sink.archive": str(folder)}) as each:
        told = original(after={**AFTER, "name": SECRET, "city": f"near {SECRET}"})
        message = told._replace(headers=(("trace", SECRET.encode()),))
        events = records(
            [failure("C001", 0, original=message, trace=TRACED), failure("C002", 1, original=message)]
        )
        broken = KafkaRecord(2, b"no key", f'{{"{BAD}": "{BAD}'.encode(), (("h", BAD.encode()),))
        ingest(each.store, [*events, broken])
        order = JobOrder(Decision.RETRY, {"name": f'"{CORRECTED}"'}, 1, 0, "one entry", named=True)
        assert isinstance(start_job(each.store, [entry_ids(each)[0]], order, Actor("anna", "page")), Job)
        yield each


def entry_ids(sink: Served) -> list[str]:
    with sink.store.reading() as connection:
        return list(connection.scalars(select(tables.entry.c.id).order_by(tables.entry.c.record_id)))


def starts(sink: Served) -> set[str]:
    """Every address that can be read, with ids that exist."""
    with sink.store.reading() as connection:
        some: dict[str, str] = {
            "entry_id": entry_ids(sink)[0],
            "group_id": connection.scalar(select(tables.entry.c.group_id)) or "0",
            "job_id": connection.scalar(select(tables.job.c.id)) or "0",
            "message_id": str(connection.scalar(select(tables.quarantine.c.id))),
        }
    known = {**some, "code": "too_long", "name": "too_long"}
    found = set()
    for route in iter_route_contexts(sink.app.routes):
        if "GET" in (route.methods or ()) and route.path is not None:
            found.add(re.sub(r"\{(\w+)\}", lambda part: known.get(part[1], "0"), route.path))
    return found


def answers(sink: Served, client: httpx2.Client) -> dict[str, str]:
    """All that can be read: every route, then wherever links lead."""
    waiting, read = sorted(starts(sink)), dict[str, str]()
    while waiting and len(read) < 400:
        address = waiting.pop(0)
        if address in read or address.startswith(("/static/", "/sign-")):
            continue
        answer = client.get(address)
        assert answer.status_code < 500, (address, answer.text)
        read[address] = f"{answer.headers}{answer.text}"
        waiting += [link.replace("&amp;", "&") for link in LINK.findall(answer.text)]
    return read


def leaks(read: dict[str, str]) -> list[tuple[str, str]]:
    found = []
    for value in (SECRET, CORRECTED, BAD, TRACED):
        # in the open, in base64 at any of its three places, in hex
        shapes = {value, value.encode().hex()} | {
            base64.b64encode(b"x" * pad + value.encode())[4:-4].decode() for pad in range(3)
        }
        found += [
            (address, value) for address, text in read.items() if any(shape in text for shape in shapes)
        ]
    return found


def test_no_value_gets_to_a_viewer_with_a_token(sink: Served) -> None:
    read = answers(sink, sink.client(sink.token(Role.VIEWER)))
    assert len(read) > AT_LEAST_ANSWERS
    assert leaks(read) == []


def test_no_value_gets_to_a_viewer_at_the_page(sink: Served) -> None:
    read = answers(sink, sink.signed_in(Role.VIEWER))
    assert len(read) > AT_LEAST_ANSWERS
    assert leaks(read) == []


def test_values_get_to_operators_and_bytes_to_admins(sink: Served) -> None:
    of_operator = leaks(answers(sink, sink.client(sink.token(Role.OPERATOR))))
    of_admin = leaks(answers(sink, sink.client(sink.token(Role.ADMIN))))
    assert {SECRET, TRACED} <= {value for _, value in of_operator}
    assert BAD not in {value for _, value in of_operator}
    assert BAD in {value for _, value in of_admin}
