"""Step 2: bytes become changes; what cannot be decoded becomes a poison fault. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from schemas.change import Decoded, Ignored, Op, RecordChange, Shape, Tombstone, Undecodable
from worker.fault import Fault
from worker.message import Message

Decode = Callable[[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]], Decoded]

TOMBSTONE = RecordChange(Op.DELETE, None, None, Shape(()))


@dataclass(frozen=True, slots=True)
class DecodedMessages:
    """The messages of one topic, decoded: changes in order, poison, and how many were no change of a record.

    A tombstone is the change TOMBSTONE: a delete of which only the message's key is known.
    """

    changes: list[tuple[Message, RecordChange]]
    poison: list[tuple[Message, Fault]]
    ignored: int


def decode(messages: Iterable[Message], decoder: Decode) -> DecodedMessages:
    """Decode messages in their order."""
    changes: list[tuple[Message, RecordChange]] = []
    poison: list[tuple[Message, Fault]] = []
    ignored = 0
    for message in messages:
        decoded = decoder(message.key, message.value, message.headers)
        if type(decoded) is RecordChange:  # most of them, so asked first
            changes.append((message, decoded))
            continue
        match decoded:
            case Undecodable(code=code, message=text):
                poison.append((message, Fault(code, detail=text)))
            case Tombstone():
                changes.append((message, TOMBSTONE))
            case Ignored():
                ignored += 1
    return DecodedMessages(changes, poison, ignored)
