"""What a worker finds in its topic of replays."""

from dataclasses import dataclass

from schemas.codec import Codec
from schemas.events import Decision, OriginalRecord, Position, ReplayBundle, ReplayRequest
from tests.unit.schemas.events import resolved
from worker.message import Message
from worker.replay import requests_in

CODEC = Codec()
REQUEST = ReplayRequest(
    "p",
    "f",
    "customers",
    "forward",
    "C1",
    Decision.RETRY,
    False,
    Position("erp", 0, 1, 1),
    OriginalRecord(b"k", b"v"),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message, as far as one looks at it here."""

    value: bytes | None


def found(*values: bytes | None, most: int = 1000) -> tuple[list[ReplayRequest], int, int]:
    """Return the requests, how many messages were none, and how many are left."""
    messages: list[Message] = [Stored(value) for value in values]  # type: ignore[misc]
    asked = requests_in(messages, CODEC.decode, most)
    return asked.requests, asked.strange, len(asked.left)


def test_requests_are_found_alone_and_in_bundles_in_their_order() -> None:
    others = [REQUEST._replace(replay_id=f"p{n}", record_id=f"C{n}") for n in range(3)]
    alone, bundle = CODEC.encode(REQUEST), CODEC.encode(ReplayBundle(tuple(others)))
    assert found(alone, bundle, alone) == ([REQUEST, *others, REQUEST], 0, 0)


def test_messages_that_are_no_requests_are_counted() -> None:
    assert found(None, b"nonsense", CODEC.encode(resolved()), CODEC.encode(REQUEST)) == ([REQUEST], 3, 0)


def test_no_more_messages_are_opened_than_make_a_batch() -> None:
    bundle = CODEC.encode(ReplayBundle((REQUEST,) * 40))
    assert found(bundle, bundle, bundle, bundle, most=50) == ([REQUEST] * 80, 0, 2)
