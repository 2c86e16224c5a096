"""/status: how the mappings run, and what is there."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sink.desk.wire import Times, moment, moment_or_none
from sink.store.rates import SyncStatus, read_sync_status
from sink.store.tally import Overview, read_overview
from sink.web.access.need import Viewer
from sink.web.problem import documented
from sink.web.web import WebDep

router = APIRouter(prefix="/status", tags=["status"], responses=documented(401, 403, 422, 503))


class SyncView(BaseModel):
    """One mapping in one direction."""

    mapping: str
    direction: str
    last_hour: dict[str, int] = Field(description="Changes by outcome, to a quarter of an hour.")
    last_day: dict[str, int] = Field(description="Changes by outcome, to a quarter of an hour.")
    lag_records: int | None = Field(description="Changes that wait in Kafka; null: no worker says.")
    paused_code: str | None = Field(description="Why its target app is paused; null: it is not.")
    seen_at: Times = Field(description="When a worker was last heard of.")
    workers: list[str] = Field(description="Those heard of lately.")


class MappingView(BaseModel):
    """The entries of one mapping."""

    mapping: str
    relevant: int
    closed: int
    oldest_failed_at: Times | None = Field(
        description="When the oldest entry that is not closed failed first."
    )


class StatusView(BaseModel):
    """What is there, whose it is, and how the mappings run."""

    ready: bool
    obstacles: dict[str, str] = Field(description="What keeps the sink from working, by part.")
    relevant: int = Field(description="How many entries are not closed.")
    states: dict[str, int] = Field(description="Entries by state; a few seconds old at most.")
    fixers: dict[str, int] = Field(description="Entries that are not closed, by who can put them right.")
    groups: dict[str, int] = Field(description="Groups by state.")
    oldest_failed_at: Times | None
    mappings: list[MappingView]
    sync: list[SyncView]


@router.get("")
def show_status(_person: Viewer, web: WebDep) -> StatusView:
    """Say what is there, whose it is, and how each mapping runs."""
    overview = web.recent.read("overview", read_overview)
    sync = web.recent.read("sync status", read_sync_status)
    obstacles = dict(web.pulse.obstacles)
    return StatusView(
        ready=not obstacles,
        obstacles=obstacles,
        relevant=overview.relevant,
        states={str(state): number for state, number in overview.states.items()},
        fixers={str(fixer): number for fixer, number in overview.fixers.items()},
        groups={str(state): number for state, number in overview.groups.items()},
        oldest_failed_at=moment_or_none(overview.oldest_us),
        mappings=_mappings(overview),
        sync=[_sync(each) for each in sync],
    )


def _mappings(overview: Overview) -> list[MappingView]:
    return [
        MappingView(
            mapping=each.mapping,
            relevant=each.relevant,
            closed=each.closed,
            oldest_failed_at=moment_or_none(each.oldest_us),
        )
        for each in overview.mappings
    ]


def _sync(status: SyncStatus) -> SyncView:
    return SyncView(
        mapping=status.mapping,
        direction=status.direction,
        last_hour=dict(status.last_hour),
        last_day=dict(status.last_day),
        lag_records=status.lag_records,
        paused_code=status.paused_code,
        seen_at=moment(status.seen_us),
        workers=list(status.workers),
    )
