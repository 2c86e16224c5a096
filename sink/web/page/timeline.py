"""What became of an entry, step by step, the latest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.catalogue import catalogue
from sink.states import State, Verdict
from sink.store.entries import Entry, Replay
from sink.web.page.words import ENDED

_VERDICTS = {
    Verdict.RESOLVED: ("resolved", "The replay went through."),
    Verdict.SUPERSEDED: ("resolved", "The replay was overtaken by a newer change of the record."),
    Verdict.FAILED_AGAIN: ("open", "The replay failed again"),
    Verdict.UNCONFIRMED: ("unconfirmed", "The worker did not answer the replay in time."),
    Verdict.NOT_SENT: ("off", "The replay was not sent."),
    Verdict.DROPPED: ("discarded", "The worker has given the change up."),
}
_REQUESTS = {"retry": "Replay asked for", "drop": "Given up"}


@dataclass(frozen=True, slots=True)
class Happening:
    """One step: when, what shape stands beside it, what is said, who did it, and the reason or code."""

    at_us: int
    dot: str
    said: str
    who: str | None = None
    detail: str | None = None


def timeline(entry: Entry, replays: Sequence[Replay]) -> list[Happening]:
    """Return what is known of an entry's past and next steps, the latest first."""
    return sorted(_happenings(entry, replays), key=lambda each: each.at_us, reverse=True)


def _happenings(entry: Entry, replays: Sequence[Replay]) -> Iterator[Happening]:
    if entry.state is State.WAITING and entry.retry_at_us is not None:
        yield Happening(entry.retry_at_us, "waiting", "Is tried again by itself.")
    if entry.closed_us is not None:
        yield _closing(entry, entry.closed_us)
    for replay in replays:
        yield from _of_replay(replay)
    for attempt in entry.attempts:
        yield Happening(attempt.at_ms * 1000, "open", "Failed", detail=_title(attempt.code or entry.code))
    if all(attempt.at_ms * 1000 > entry.first_failed_us for attempt in entry.attempts):
        yield Happening(entry.first_failed_us, "open", "Failed for the first time")


def _closing(entry: Entry, at_us: int) -> Happening:
    if entry.state is State.DISCARDED:
        return Happening(at_us, "discarded", "Discarded", entry.closed_by, entry.reason)
    how = ENDED.get(entry.resolved_by or "", "")
    return Happening(at_us, "resolved", f"Resolved {how}".strip(), entry.closed_by, entry.reason)


def _of_replay(replay: Replay) -> Iterator[Happening]:
    asked = "Tried again on schedule" if replay.scheduled else _REQUESTS.get(replay.decision, replay.decision)
    yield Happening(replay.requested_us, "replaying", asked, None if replay.scheduled else replay.actor)
    if replay.verdict is not None and replay.verdict_us is not None:
        dot, said = _VERDICTS[Verdict(replay.verdict)]
        yield Happening(replay.verdict_us, dot, said, detail=_title(replay.code) if replay.code else None)


def _title(code: str) -> str:
    known = catalogue().get(code)
    return code if known is None else known.title
