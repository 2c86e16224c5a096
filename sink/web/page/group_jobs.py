"""Which replay job stands for which group: the one over its entries that is under way, or was until a moment ago."""

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from sink.store.jobs import Job, read_jobs
from sink.store.tables import entry, job_item

_LATEST = 20
_SHOWN_FOR_US = 15 * 60 * 1_000_000


def jobs_of_groups(connection: Connection, now_us: int) -> dict[str, Job]:
    """Return the latest job of each group: one whose first and last entries both are of the group."""
    jobs = [
        job
        for job in read_jobs(connection, limit=_LATEST)
        if job.finished_us is None or job.finished_us > now_us - _SHOWN_FOR_US
    ]
    groups = _groups(connection, jobs) if jobs else {}
    latest: dict[str, Job] = {}
    for job in jobs:
        found = groups.get(job.id, set())
        if len(found) == 1:
            latest.setdefault(next(iter(found)), job)
    return latest


def _groups(connection: Connection, jobs: Iterable[Job]) -> dict[str, set[str]]:
    ends = [
        (job_item.c.job_id == job.id) & job_item.c.number.in_({0, job.total - 1}) for job in jobs if job.total
    ]
    joined = job_item.join(entry, entry.c.id == job_item.c.entry_id)
    query = select(job_item.c.job_id, entry.c.group_id).select_from(joined).where(or_(*ends))
    found: dict[str, set[str]] = {}
    for job_id, group_id in connection.execute(query):
        found.setdefault(job_id, set()).add(group_id)
    return found
