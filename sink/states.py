"""The states of an entry, and which step is allowed from which. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where an entry stands."""

    OPEN = "open"
    WAITING = "waiting"
    REPLAYING = "replaying"
    UNCONFIRMED = "unconfirmed"
    RESOLVED = "resolved"
    DISCARDED = "discarded"


class ResolvedBy(StrEnum):
    """What ended a resolved entry."""

    REPLAY = "replay"
    SUPERSEDED = "superseded"
    RELEASED = "released"
    HAND = "hand"


class Verdict(StrEnum):
    """How a replay ended; `unconfirmed`: no answer in time; `not_sent`: it never left the sink."""

    RESOLVED = "resolved"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"
    FAILED_AGAIN = "failed_again"
    UNCONFIRMED = "unconfirmed"
    NOT_SENT = "not_sent"


class Action(StrEnum):
    """What a person can do with an entry."""

    REPLAY = "replay"
    RESOLVE = "resolve"
    DISCARD = "discard"


class Refusal(StrEnum):
    """Why a step was not taken; the value is the sentence that a person reads."""

    NOT_FOUND = "there is no such entry"
    UNDER_WAY = "a replay is under way; wait for its verdict"
    CLOSED = "it is closed already"
    APP_FAILURE = "it stands for a whole app, which the worker probes by itself; there is no change to replay"
    NO_POSITION = "the failure does not say where its change stands, so it cannot be replayed"
    NO_TOPIC = (
        "nothing says which topic the message came from; set replay_to of its dead letter topic in sink.foreign, "
        "and start the sink again"
    )
    PARKED = "three replays of it failed; look at it and replay it by its id"
    PAUSED = "the target app is paused; replay it when the app is back"
    CHANGED = "it changed in this moment; look at it again"


CLOSED = frozenset({State.RESOLVED, State.DISCARDED})
RELEVANT = frozenset(State) - CLOSED

ALLOWED: Mapping[Action, frozenset[State]] = MappingProxyType(
    {
        Action.REPLAY: frozenset({State.OPEN, State.WAITING, State.UNCONFIRMED}),
        Action.RESOLVE: frozenset({State.OPEN, State.WAITING, State.UNCONFIRMED}),
        Action.DISCARD: frozenset({State.OPEN, State.WAITING, State.UNCONFIRMED}),
    }
)


def refusal(action: Action, state: State) -> Refusal | None:
    """Return why an action is not allowed in a state, None when it is."""
    if state in ALLOWED[action]:
        return None
    return Refusal.CLOSED if state in CLOSED else Refusal.UNDER_WAY
