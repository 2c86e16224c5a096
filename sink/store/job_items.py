"""The entries of replay jobs. Each names its replay from the beginning; there is one as soon as it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, case, select

from sink.states import Refusal, Verdict
from sink.store import bulk
from sink.store.tables import job, job_item, replay

PAGE = 100
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class JobItem:
    """One entry of a job; `verdict` is None while there is none, `code` is that of the new failure."""

    number: int
    entry_id: str
    replay_id: str | None
    refusal: Refusal | None
    verdict: Verdict | None
    code: str | None


class Item(NamedTuple):
    """An entry whose turn comes, and how its replay is to be called; `noted` where that stands in the store already."""

    number: int
    entry_id: str
    replay_id: str
    noted: bool


def insert_items(connection: Connection, job_id: str, ids: Sequence[str]) -> None:
    """Write the list of a new job."""
    for start in range(0, len(ids), _AT_ONCE):
        portion = enumerate(ids[start : start + _AT_ONCE], start)
        rows = [(job_id, number, entry_id, _replay_id(job_id, number), None) for number, entry_id in portion]
        bulk.insert_rows(connection, job_item, rows)


def read_next(connection: Connection, job_id: str, first: int, limit: int) -> list[Item]:
    """Return the entries of a job from a number on."""
    query = (
        select(job_item.c.number, job_item.c.entry_id, job_item.c.replay_id)
        .where(job_item.c.job_id == job_id, job_item.c.number >= first)
        .order_by(job_item.c.number)
        .limit(limit)
    )
    return [
        Item(number, entry_id, _replay_id(job_id, number), noted is not None)
        for number, entry_id, noted in connection.execute(query)
    ]


def note_items(
    connection: Connection, job_id: str, rows: Sequence[tuple[int, str | None, str | None]]
) -> None:
    """Note, by number, the replays and refusals that are others than what stands there."""
    names = ("number", "replay_id", "refusal")
    bulk.update_rows(connection, job_item, names, rows, job_item.c.job_id == job_id)


def read_items(
    connection: Connection, job_id: str, after: int | None = None, limit: int = PAGE
) -> list[JobItem]:
    """Return entries of a job in their order, after the one of number `after`."""
    joined = job_item.join(job, job.c.id == job_item.c.job_id).outerjoin(
        replay, replay.c.id == job_item.c.replay_id
    )
    asked = case((job_item.c.number < job.c.handled, job_item.c.replay_id))
    query = (
        select(
            job_item.c.number,
            job_item.c.entry_id,
            asked.label("replay_id"),
            job_item.c.refusal,
            replay.c.verdict,
            replay.c.code,
        )
        .select_from(joined)
        .where(job_item.c.job_id == job_id, job_item.c.number > (-1 if after is None else after))
        .order_by(job_item.c.number)
        .limit(limit)
    )
    return [
        JobItem(
            row.number,
            row.entry_id,
            row.replay_id,
            None if row.refusal is None else Refusal[row.refusal],
            None if row.verdict is None else Verdict(row.verdict),
            row.code,
        )
        for row in connection.execute(query)
    ]


def _replay_id(job_id: str, number: int) -> str:
    """Return the id of a replay that a job asks for: replays of a job stand together, in its order, in every index."""
    return f"{job_id}-{number:07}"
