"""Replay jobs through the HTTP API of a sink."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import orjson

from schemas.events import Decision
from sink.desk.jobs import SHORTEST_ID, JobPage, JobWish
from sink.desk.selection import Selection, WrongUse
from sink.job_actions import JobRefused
from sink.jobs import Counts, JobState, JobStep
from sink.moment import to_us
from sink.states import Refusal, Verdict
from sink.store.job_items import JobItem
from sink.store.jobs import Job

_WHOLE_ID = 16
_LOOKED_THROUGH = 1000

Fields = dict[str, Any]


class RefusedError(WrongUse):
    """The sink refuses what was asked for; the text says why."""


class Caller(Protocol):
    """How the sink is asked: raises RefusedError, another WrongUse or UnreachableError; None where there is no such thing."""

    def get(self, path: str, parameters: Mapping[str, Any]) -> Fields | None: ...  # noqa: D102  told above
    def post(self, path: str, content: Mapping[str, Any]) -> Fields: ...  # noqa: D102  told above
    def selected(self, selection: Selection) -> Fields: ...  # noqa: D102  a selection as the API takes it


class RemoteJobs:
    """The jobs of a sink, for the owner of a token."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def start(self, selection: Selection, ids: Sequence[str], wish: JobWish) -> Job | JobRefused:
        """Start a job over entries that a selection chose."""
        content: Fields = self._caller.selected(selection)
        if selection.ids:
            content = {"ids": list(ids)}
        if wish.corrections:
            content["corrections"] = {field: orjson.loads(text) for field, text in wish.corrections.items()}
        if wish.rate_per_s is not None:
            content["rate_per_s"] = wish.rate_per_s or None
        if wish.canaries is not None:
            content["canaries"] = wish.canaries
        return self._told("/replays", content)

    def list_jobs(self, *, limit: int, after: str | None) -> JobPage:
        """Return a page of jobs, the newest first."""
        asked = {"limit": limit} | ({} if after is None else {"after": after})
        page = self._caller.get("/replays", asked) or {"jobs": [], "after": None}
        return JobPage([_job(each) for each in page["jobs"]], page["after"])

    def show(self, typed_id: str) -> Job | None:
        """Return one job, by an id of which the first digits suffice."""
        typed = typed_id.strip().lower()
        if not typed.isalnum():
            return None
        if SHORTEST_ID <= len(typed) < _WHOLE_ID:
            found = [
                job
                for job in self.list_jobs(limit=_LOOKED_THROUGH, after=None).jobs
                if job.id.startswith(typed)
            ]
            if len(found) > 1:
                raise WrongUse(f'several jobs begin with "{typed_id}"; type more of the id')
            return found[0] if found else None
        fields = self._caller.get(f"/replays/{typed}", {})
        return None if fields is None else _job(fields)

    def items(self, job_id: str, *, after: int | None, limit: int) -> list[JobItem]:
        """Return entries of a job in their order, after the one of number `after`."""
        asked = {"limit": limit} | ({} if after is None else {"after": after})
        page = self._caller.get(f"/replays/{job_id}/items", asked) or {"items": []}
        return [_item(each) for each in page["items"]]

    def take_step(self, job_id: str, step: JobStep) -> Job | JobRefused:
        """Pause, resume or cancel a job."""
        return self._told(f"/replays/{job_id}/{step}", {})

    def _told(self, path: str, content: Mapping[str, Any]) -> Job | JobRefused:
        try:
            return _job(self._caller.post(path, content))
        except RefusedError as error:
            return JobRefused(str(error).removeprefix("This cannot be done: ").removesuffix("."))


def _job(fields: Fields) -> Job:
    return Job(
        id=fields["id"],
        actor=fields["actor"],
        via=fields["via"],
        what=fields["what"],
        decision=Decision(fields["decision"]),
        corrected_fields=tuple(fields["corrected_fields"]),
        rate_per_s=fields["rate_per_s"],
        canaries=fields["canaries"],
        named=False,
        state=JobState(fields["state"]),
        note=fields["note"],
        total=fields["total"],
        handled=fields["handled"],
        counts=Counts(**fields["counts"]),
        created_us=_us(fields["created_at"]) or 0,
        finished_us=_us(fields["finished_at"]),
        row_version=fields["row_version"],
    )


def _item(fields: Fields) -> JobItem:
    return JobItem(
        fields["number"],
        fields["entry_id"],
        fields["replay_id"],
        None if fields["refused"] is None else Refusal[fields["refused"].upper()],
        None if fields["verdict"] is None else Verdict(fields["verdict"]),
        fields["code"],
    )


def _us(text: str | None) -> int | None:
    return None if text is None else to_us(datetime.fromisoformat(text))
