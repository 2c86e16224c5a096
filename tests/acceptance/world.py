"""A whole Instep of a test's own: a configuration, topics, and the programs that work by it, seen through public faces."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from kafka import KafkaProducer

from instep.main import app as instep_commands
from schemas.bundles import events_in
from schemas.codec import Codec
from schemas.events import Event, ResolvedBundle, SyncFailed, SyncProgress, SyncResolved
from tests.acceptance.broker import asking, read_topic
from tests.acceptance.program import Program
from tests.command import run_instep
from tests.contract.connectors.target import Target
from tests.services.process import free_port, wait_until

STATES = ("open", "waiting", "replaying", "unconfirmed", "resolved", "discarded")
PATIENCE_S = 60.0
Row = Mapping[str, Any]
Entry = dict[str, Any]


def mapping(
    entity: str, key: str | Sequence[str] = "id", *, app: str = "crm", **settings: Any
) -> dict[str, Any]:
    """A mapping between entities of the same name and key; its topic is named by the world that it is part of."""
    keys = [key] if isinstance(key, str) else list(key)
    source = {"app": "erp", "entity": entity, "key": keys, **settings.pop("source", {})}
    target = {"app": app, "entity": entity, "key": keys, **settings.pop("target", {})}
    return {"source": source, "target": target, "on_delete": "propagate", **settings}


def change(op: str, before: Row | None, after: Row | None) -> bytes:
    """A change as Debezium writes it in JSON without schemas."""
    source = {"version": "3.5.0.Final", "connector": "postgresql", "name": "erp", "ts_ms": 1_795_391_871_999}
    content = {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1_795_391_872_177}
    return json.dumps(content).encode()


class World:
    """One configuration with topics and a group of its own; `close` ends whatever it has started.

    `mappings` are made by `mapping`; `apps` are URLs, or whole app configurations, by name. What `kafka`, `worker` and
    `sink` hold goes on top of the configuration of that name.
    """

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        mappings: Mapping[str, dict[str, Any]],
        apps: Mapping[str, str | dict[str, Any]],
        *,
        kafka: Mapping[str, Any] | None = None,
        worker: Mapping[str, Any] | None = None,
        sink: Mapping[str, Any] | None = None,
        partitions: int = 2,
        create_topics: bool = True,
    ) -> None:
        self.name = f"world-{uuid4().hex[:10]}"
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.bootstrap, self.partitions = bootstrap, partitions
        self.mappings, self.apps = mappings, apps
        self.errors_topic, self.replay_topic = f"{self.name}.errors", f"{self.name}.replay"
        self.programs: list[Program] = []
        self._sink_port = free_port()
        self._content = self._configuration(apps, kafka or {}, worker or {}, sink or {})
        self._producer: KafkaProducer | None = None
        self.file = self._write("instep.yaml", free_port())
        if create_topics:
            self.create_topics()

    # the configuration and the topics

    def topic(self, name: str) -> str:
        """The topic of a mapping."""
        return f"{self.name}.{name}"

    def create_topics(self) -> None:
        """Make the topics that the configuration names."""
        self.instep("topics", "create", "--sources", "--partitions", str(self.partitions))

    def instep(self, *arguments: str, codes: Sequence[int] = (0,), timeout_s: float = 60) -> str:
        """Run a command of Instep with this configuration; returns what it prints; fails on another exit code."""
        answer = run_instep(*arguments, "-c", self.file, folder=self.folder, timeout_s=timeout_s)
        assert answer.returncode in codes, f"{arguments} ended with {answer.returncode}:\n{answer.stderr}"
        return answer.stdout

    # the source app

    def send(
        self,
        name: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> Any:
        """Write any bytes to the topic of a mapping; they are there after `flush`, which whatever waits does first.

        The future that is returned tells where the message stands.
        """
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self.bootstrap, acks="all", max_request_size=4_000_000, linger_ms=1
            )
        return self._producer.send(
            self.topic(name), value, key=key, partition=partition, headers=list(headers)
        )

    def put(self, name: str, *rows: Row, op: str = "u") -> None:
        """Records were created, updated (`op` c, u) or read (r), as their rows now stand."""
        for row in rows:
            self.send(name, self.key_of(name, row), change(op, None, row))

    def delete(self, name: str, *rows: Row) -> None:
        """Records were deleted: for each a delete with the old row, and a tombstone."""
        for row in rows:
            self.send(name, self.key_of(name, row), change("d", row, None))
            self.send(name, self.key_of(name, row), None)

    def key_of(self, name: str, row: Row) -> bytes:
        """The key of a record's messages."""
        return json.dumps({field: row[field] for field in self.mappings[name]["source"]["key"]}).encode()

    def flush(self) -> None:
        """Wait until the broker has all that was sent."""
        if self._producer is not None:
            self._producer.flush(30)

    # the programs

    def start_worker(self, *arguments: str, wait: bool = True) -> Program:
        """Start a worker (another one each time); with `wait`, until it is about to poll."""
        number = sum(program.log_file.name.startswith("worker") for program in self.programs)
        port = free_port()
        file = self._write(f"worker-{number}.yaml", port)
        log = self.folder / f"worker-{number}.log"
        program = Program(["worker", "-c", str(file), *arguments], log, number=number, port=port)
        self.programs.append(program)
        if wait:
            program.says('"working"')
        return program

    def start_sink(self, *, wait: bool = True) -> Program:
        """Start a sink; with `wait`, until it is ready."""
        number = sum(program.log_file.name.startswith("sink") for program in self.programs)
        log = self.folder / f"sink-{number}.log"
        program = Program(["sink", "-c", str(self.file)], log, number=number, port=self._sink_port)
        self.programs.append(program)
        if wait:
            ready = f"http://127.0.0.1:{self._sink_port}/readyz"
            self.until(lambda: not program.running or fetch(ready) != "", what="the sink is ready")
            assert program.running, program.log
        return program

    def start(self) -> Program:
        """Start a sink and a worker, and return the worker."""
        self.start_sink(wait=False)
        worker = self.start_worker()
        ready = f"http://127.0.0.1:{self._sink_port}/readyz"
        self.until(lambda: fetch(ready) != "", what="the sink is ready")
        return worker

    def drain(self, *, within_s: float = PATIENCE_S) -> None:
        """Run a worker until everything is done that is in the topics now."""
        self.flush()
        assert self.start_worker("--drain", wait=False).wait(within_s=within_s) == 0, self.logs()

    def close(self) -> None:
        """End everything that was started."""
        for program in self.programs:
            if program.running:
                program.kill()
        if self._producer is not None:
            self._producer.close(1)

    # looking

    def until(
        self,
        condition: Callable[[], object],
        *,
        timeout_s: float = PATIENCE_S,
        what: str = "",
        every_s: float = 0.05,
    ) -> None:
        """Ask again and again; fails when it is not so in time, or a program failed."""
        self.flush()

        def over() -> bool:
            failed = [each.log_file.name for each in self.programs if each.failed]
            assert not failed, f"{failed} ended by itself\n{self.logs()[-6000:]}"
            return bool(condition())

        try:
            wait_until(over, timeout_s=timeout_s, what=what or "what the test waits for", every_s=every_s)
        except TimeoutError as late:
            raise AssertionError(f"{late}\n{self.logs()[-6000:]}") from None

    def settle(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the workers have settled all that was sent so far, and the sink has all they said of it."""
        self.flush()
        sources = [self.topic(name) for name in self.mappings] + [self.replay_topic]
        with asking(self.bootstrap) as ask:
            ends = ask.ends(sources)
            self.until(lambda: ask.reached(self.name, ends), timeout_s=timeout_s, what="workers at the end")
            said = ask.ends([self.errors_topic])
            self.until(
                lambda: ask.reached(f"{self.name}.sink", said), timeout_s=timeout_s, what="sink at the end"
            )

    def entries(self, *filters: str) -> list[Entry]:
        """Entries in all states, as `instep errors list --json` prints them, unless the filters say which.

        Runs the command in this process: waiting tests ask again and again, and starting it takes most of its time.
        """
        states = [] if "--state" in filters else [word for state in STATES for word in ("--state", state)]
        arguments = ["errors", "list", "--json", "--limit", "1000", "-c", str(self.file), *states, *filters]
        with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as errors:
            code = instep_commands(arguments, standalone_mode=False)
        assert not code, f"{arguments} ended with {code}:\n{errors.getvalue()}"
        return [json.loads(line) for line in output.getvalue().splitlines()]

    def entry(self, record_id: str, mapping_name: str | None = None) -> Entry:
        """The only entry of a record."""
        named = ["--mapping", mapping_name] if mapping_name else []
        (found,) = self.entries("--record", record_id, *named)
        return found

    def replay(self, *ids: str, wait: bool = True, codes: Sequence[int] = (0,)) -> str:
        """Replay entries as a person does; 1 is the code when they failed again."""
        return self.instep("errors", "replay", *ids, *(["--wait"] if wait else []), codes=codes)

    def events(self, *, progress: bool = False) -> list[Event]:
        """All that the error topic holds, in order within each partition."""
        codec = Codec()
        found: list[Event] = []
        for value in read_topic(self.bootstrap, self.errors_topic):
            event = codec.decode(value)
            assert isinstance(event, SyncFailed | SyncResolved | SyncProgress | ResolvedBundle), event
            if progress or not isinstance(event, SyncProgress):
                found += events_in(event)
        return found

    def metrics(self, program: Program | None = None) -> dict[str, float]:
        """Samples by name and labels, as `instep_app_paused{app="crm"}`, of the last worker unless another is named."""
        asked = program or [each for each in self.programs if each.log_file.name.startswith("worker")][-1]
        lines = fetch(f"http://127.0.0.1:{asked.port}/metrics").splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def paused(self, app: str = "crm", program: Program | None = None) -> bool:
        """Whether the worker has paused an app."""
        return self.metrics(program).get(f'instep_app_paused{{app="{app}"}}') == 1.0

    def logs(self) -> str:
        """All that all programs wrote."""
        return "\n".join(f"== {program.log_file.name}\n{program.log}" for program in self.programs)

    def _configuration(
        self,
        apps: Mapping[str, str | dict[str, Any]],
        kafka: Mapping[str, Any],
        worker: Mapping[str, Any],
        sink: Mapping[str, Any],
    ) -> dict[str, Any]:
        opened = {
            name: {"connector": "sql", "url": app} if isinstance(app, str) else {"connector": "sql", **app}
            for name, app in apps.items()
        }
        mappings = {
            name: {**each, "source": {"topic": self.topic(name), **each["source"]}}
            for name, each in self.mappings.items()
        }
        return {
            "kafka": {
                "bootstrap": self.bootstrap,
                "group": self.name,
                "errors_topic": self.errors_topic,
                "client": {"session_timeout_ms": 6000},
                **kafka,
            },
            "apps": {"erp": {}, **opened},
            "mappings": mappings,
            "worker": {"state": {"url": f"sqlite:///{self.folder}/state.db"}, "progress_s": 1, **worker},
            "sink": {
                "store": {"url": f"sqlite:///{self.folder}/sink.db"},
                "listen": f"127.0.0.1:{self._sink_port}",
                **sink,
            },
        }

    def _write(self, name: str, metrics_port: int) -> Path:
        worker = {"metrics": f"127.0.0.1:{metrics_port}", **self._content["worker"]}
        file = self.folder / name
        file.write_text(yaml.safe_dump({**self._content, "worker": worker}, sort_keys=False))
        return file


def fetch(url: str) -> str:
    """A page's text; nothing when it is not there or says that something is wrong."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  loopback
            text: str = response.read().decode()
            return text
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return ""


MakeWorld = Callable[..., World]


@contextmanager
def closing_worlds(folder: Path, bootstrap: str) -> Iterator[MakeWorld]:
    """What makes worlds; they are closed in the end."""
    made: list[World] = []

    def make(
        mappings: Mapping[str, dict[str, Any]],
        apps: Mapping[str, str | dict[str, Any]] | Target,
        **settings: Any,
    ) -> World:
        urls = {"crm": apps.url} if isinstance(apps, Target) else apps
        world = World(folder, settings.pop("bootstrap", bootstrap), mappings, urls, **settings)
        made.append(world)
        return world

    try:
        yield make
    finally:
        for world in made:
            world.close()
