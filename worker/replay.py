"""Replays: what the sink asks of the worker, read from the group's own topic. Pure."""

from collections.abc import Callable, Iterable

from schemas.events import ReplayBundle, ReplayRequest
from worker.message import Message


def requests_in(
    messages: Iterable[Message], decode: Callable[[bytes], object]
) -> tuple[list[ReplayRequest], int]:
    """Return the replay requests among messages, in their order, and how many messages were none."""
    requests: list[ReplayRequest] = []
    strange = 0
    for message in messages:
        event = decode(message.value) if message.value is not None else None
        match event:
            case ReplayRequest():
                requests.append(event)
            case ReplayBundle(bundled):
                requests += bundled
            case _:
                strange += 1
    return requests, strange
