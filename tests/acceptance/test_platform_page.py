"""docs/platform.md: what stands there leads to a synced record, word for word."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from sqlalchemy import make_url

from tests.acceptance.program import Program
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.process import free_port, wait_until
from tests.unit.house import ROOT

PAGE = (ROOT / "docs" / "platform.md").read_text()


def block(kind: str) -> str:
    """The only block of a kind on the page."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def configuration(pg_crm: Target, kafka: Kafka, tmp_path: Path) -> Iterator[Path]:
    """The configuration of the page, with the addresses of this machine and topics of our own."""
    name = f"g{uuid4().hex[:8]}"  # never a number, which the configuration would refuse
    url = make_url(pg_crm.url).set(username=f"sync_{name}", password="hush")
    for statement in block("sql").strip().split(";\n"):
        pg_crm.execute(statement.replace("'…'", "'hush'").replace("sync", f"sync_{name}").rstrip(";"))
    ours = {
        "localhost:9092": kafka.bootstrap,
        "postgresql+psycopg://sync:${CRM_PASSWORD}@localhost/crm": url.render_as_string(hide_password=False),
        "group: erp-crm": f"group: {name}, errors_topic: {name}.errors",
        "topic: erp.customers": f"topic: {name}.customers",
    }
    text = block("yaml")
    for there, here in ours.items():
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    text += f'worker: {{metrics: "127.0.0.1:{free_port()}"}}\nsink: {{listen: "127.0.0.1:{free_port()}"}}\n'
    file = tmp_path / "instep.yaml"
    file.write_text(text)
    yield file
    pg_crm.execute(f"drop owned by sync_{name}", f"drop role sync_{name}")


@pytest.fixture
def started(configuration: Path) -> Iterator[list[Program]]:
    programs: list[Program] = []
    yield programs
    for program in programs:
        program.kill()


def test_the_page_leads_to_a_synced_record(
    pg_crm: Target, kafka: Kafka, configuration: Path, started: list[Program]
) -> None:
    commands = re.findall(r"^instep (.+?)(?: +#.*| &)?$", PAGE, re.MULTILINE)
    assert commands == ["config check --connect", "topics create --sources", "worker", "sink"]
    for number, command in enumerate(commands):
        log = configuration.parent / f"{number}.log"
        program = Program([*command.split(), "-c", str(configuration)], log)
        started.append(program)
        if number < 2:
            assert program.wait(within_s=60) == 0, program.log
    lines = re.findall(r"^echo '(.*)' \|$", PAGE, re.MULTILINE)
    assert len(set(lines)) == 1
    key, _, value = lines[0].partition("|")
    (topic,) = re.findall(r"topic: (\w+\.customers)", configuration.read_text())
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    producer.send(topic, value.encode(), key=key.encode())
    producer.close()

    def arrived() -> bool:
        return pg_crm.rows("select * from account") == [("C1", "Ada", "Delft")]

    wait_until(arrived, timeout_s=90, what="the record arrives")
