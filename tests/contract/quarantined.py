"""Steps that tests of messages in quarantine share."""

from dataclasses import replace

from sink.store.quarantine import read_quarantine
from sink.store.store import Store
from sink.store.tables import quarantine
from tests.sink_events import KafkaRecord


def newer(message: KafkaRecord) -> KafkaRecord:
    """The message as a program wrote it whose schema nobody here knows."""
    assert message.value is not None
    return replace(message, value=message.value[:2] + bytes(8) + message.value[10:])


def understood(store: Store, *messages: KafkaRecord) -> None:
    """Have these messages in quarantine be readable, as after an upgrade."""
    with store.writing() as connection:
        for message in messages:
            mine = quarantine.c.position == message.offset
            connection.execute(quarantine.update().where(mine).values(value=message.value))


def in_quarantine(store: Store) -> list[int]:
    with store.reading() as connection:
        return [message.offset for message in read_quarantine(connection, limit=100)]
