"""What the sink does about dead letter topics of other programs: a loop that reads them, and the work of sending letters back."""

import threading
from collections.abc import Callable
from functools import partial

from kafka import KafkaConsumer

from plumbing import kafka
from schemas.codec import Codec
from schemas.config.model import Config
from sink.actions import now_us
from sink.chores import Chore
from sink.foreign.letter import letter_readers
from sink.foreign.sending import LetterReplays
from sink.health import Pulse
from sink.ingest import Hears, Ingest, IngestMetrics
from sink.store import foreign
from sink.store.store import Store

READING, SENDING = "foreign", "foreign replays"
_SEND_EVERY_S = 0.5


def read(
    config: Config,
    store: Store,
    open_consumer: Callable[[str], KafkaConsumer],
    metrics: IngestMetrics,
    pulse: Pulse,
    stop: threading.Event,
) -> None:
    """Read the dead letter topics of the configuration until `stop`; topics that do not exist yet are waited for."""
    group = f"{config.sink.group}.foreign"
    consumer = kafka.until_reachable(partial(open_consumer, group), stop)
    if consumer is None:
        return
    letters = letter_readers(config.sink.foreign)
    hears = Hears(tuple(letters), READING, letters, needed=False)
    try:
        Ingest(store, consumer, Codec(), hears, metrics=metrics, pulse=pulse, clock_us=now_us).run(stop)
    finally:
        kafka.close_consumer(consumer, 3.0)


def sending(config: Config, store: Store) -> tuple[list[Chore], Callable[[], None]]:
    """Return the work of sending letters back, and what ends it."""
    own = {
        config.kafka.errors_topic,
        config.kafka.replay_topic,
        *(each.topic for each in config.sink.foreign),
    }
    replays = LetterReplays(store, config.kafka, frozenset(own), now_us)

    def set_destinations() -> None:
        with store.writing() as connection:
            foreign.set_destinations(connection, config.sink.foreign)

    chores = [
        # once a run: the configuration may name another topic than it did
        Chore("destinations of dead letters", float("inf"), set_destinations),
        Chore("replays of dead letters", _SEND_EVERY_S, replays.run, rest=0),
    ]
    return chores, replays.close
