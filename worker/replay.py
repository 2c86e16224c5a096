"""Replays: what the sink asks of the worker, read from the group's own topic. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.events import ReplayBundle, ReplayRequest
from worker.message import Message


@dataclass(slots=True)
class Asked:
    """The requests in messages, in their order; `strange` messages held none, those that are `left` were not looked at."""

    requests: list[ReplayRequest] = field(default_factory=list)
    strange: int = 0
    left: Sequence[Message] = ()


def requests_in(messages: Sequence[Message], decode: Callable[[bytes], object], most: int) -> Asked:
    """Return the requests in the first of the messages, which are many together: about `most`."""
    asked = Asked()
    for number, message in enumerate(messages):
        if len(asked.requests) >= most:
            asked.left = messages[number:]
            break
        event = decode(message.value) if message.value is not None else None
        match event:
            case ReplayRequest():
                asked.requests.append(event)
            case ReplayBundle(bundled):
                asked.requests += bundled
            case _:
                asked.strange += 1
    return asked
