"""A desk that works through the HTTP API of a sink."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import TypeAdapter, ValidationError

from plumbing.unreachable import UnreachableError
from sink.actions import Restored, Wish
from sink.archive import ArchiveError
from sink.desk import wire
from sink.desk.desk import Chosen, ClearDone, ClearPlan, EntryDetail, EntryPage, Message, Progress, Unreadable
from sink.desk.groups import GroupDesk
from sink.desk.jobs import JobDesk
from sink.desk.remote_groups import RemoteGroups
from sink.desk.remote_jobs import RefusedError, RemoteJobs
from sink.desk.selection import Selection, WrongUse
from sink.reimport import Reimported
from sink.states import Verdict
from sink.store.entries import Entry
from sink.store.transitions import Step

_PAGE = 1000
_AT_ONCE = 2000
# an action on many entries takes its time
_TIMEOUT = httpx2.Timeout(120.0, connect=5.0)
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_VERDICTS = TypeAdapter(list[wire.VerdictView])

Answer = TypeVar("Answer")


@contextmanager
def open_remote(url: str, token: str | None) -> Iterator["RemoteDesk"]:
    """The desk at the sink with this address; raises WrongUse for an address that makes no sense or would betray the token."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise WrongUse("--url is no address of a sink; it looks like https://sink.example:8080") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise WrongUse("--url has to begin with https://, or with http:// for a sink on this machine")
    if token is not None and parsed.scheme == "http" and parsed.host not in _LOCAL:
        raise WrongUse("--url: over http:// everybody on the way could read the token; use https://")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    base = f"{url.rstrip('/')}/api/v1"
    with httpx2.Client(base_url=base, headers=headers, timeout=_TIMEOUT) as client:
        yield RemoteDesk(client)


class RemoteDesk:
    """What the owner of a token sees and does at a sink."""

    # what a sink waits if nobody configured it
    replay_timeout_s = 300.0

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self.jobs: JobDesk = RemoteJobs(self)
        self.groups: GroupDesk = RemoteGroups(self)

    def list_entries(self, selection: Selection, *, limit: int, after: str | None) -> EntryPage:
        """Return a page of entries, the last failed first."""
        parameters = {"id": list(selection.ids), **_filter(selection), "limit": limit}
        if after is not None:
            parameters["after"] = after
        page = self._get(wire.EntryPageView, "/entries", parameters)
        return EntryPage([each.entry() for each in page.entries], page.after)

    def all_entries(self, selection: Selection) -> Iterator[Entry]:
        """Yield every entry that is selected, the last failed first."""
        after = None
        while True:
            page = self.list_entries(selection, limit=_PAGE, after=after)
            yield from page.entries
            after = page.after
            if after is None:
                return

    def show_entry(self, typed_id: str, *, with_message: bool) -> EntryDetail | None:
        """Return one entry, by an id of which the first digits suffice."""
        path = f"/entries/{quote(typed_id, safe='')}"
        detail = self._find(wire.EntryDetailView, path)
        if detail is None:
            return None
        message = self._find(wire.MessageView, f"{path}/message") if with_message else None
        return EntryDetail(
            entry=detail.entry(),
            replays=[each.replay() for each in detail.replays],
            message_bytes=detail.message_bytes,
            message=None if message is None else Message(message.key, message.value),
        )

    def choose(self, selection: Selection) -> Chosen:
        """Return the entries that an action on a selection works on."""
        chosen = self._post(wire.ChosenView, "/entries/selection", _selected(selection))
        return Chosen(chosen.ids, [each.tally() for each in chosen.tallies])

    def act(self, ids: Sequence[str], wish: Wish, on_progress: Progress) -> list[Step]:
        """Replay, resolve or discard entries."""
        steps: list[Step] = []
        for start in range(0, len(ids), _AT_ONCE):
            portion = list(ids[start : start + _AT_ONCE])
            wanted = {"ids": portion, "action": wish.action, "reason": wish.reason, "parked_too": wish.named}
            done = self._post(wire.StepsView, "/entries/actions", wanted)
            steps += [each.step() for each in done.steps]
            on_progress(len(portion))
        return steps

    def verdicts(self, replay_ids: Sequence[str]) -> dict[str, tuple[Verdict, str | None]]:
        """Return the verdicts that have come in for these replays, with the code of a new failure."""
        found: dict[str, tuple[Verdict, str | None]] = {}
        for start in range(0, len(replay_ids), _AT_ONCE):
            asked = {"replay_ids": list(replay_ids[start : start + _AT_ONCE])}
            told = self._call(_VERDICTS, "POST", "/replays/verdicts", content=asked)
            found |= {each.replay_id: (each.verdict, each.code) for each in told}
        return found

    def plan_clear(self, selection: Selection, archive: str | None, *, include_open: bool) -> ClearPlan:
        """Return what `clear` would delete; the archive is a new file in the sink's folder."""
        if archive is not None:
            raise WrongUse(
                "--archive: with --url the sink names the archive, in its own folder; leave it out"
            )
        wanted = {"filter": _filter(selection), "include_open": include_open}
        plan = self._post(wire.ClearPlanView, "/archive/plan", wanted)
        return ClearPlan(plan.archive, [each.tally() for each in plan.tallies])

    def clear(
        self, selection: Selection, archive: str, *, include_open: bool, newest_us: int | None
    ) -> ClearDone:
        """Archive entries, then delete them; raises ArchiveError before anything is deleted."""
        newest = None if newest_us is None else wire.moment(newest_us).isoformat()
        wanted = {
            "filter": _filter(selection),
            "include_open": include_open,
            "archive": archive,
            "newest_failed_at": newest,
        }
        done = self._post(wire.ClearDoneView, "/archive/clear", wanted)
        return ClearDone(done.archive, done.deleted, done.changed, done.unsent)

    def check_archive(self, archive: str) -> int:
        """Return how many entries an archive in the sink's folder holds; raises ArchiveError when it is not whole."""
        checked = self._find(wire.CheckedView, f"/archive/{quote(archive, safe='')}")
        if checked is None:
            raise ArchiveError(f"the sink has no archive {archive} in its folder")
        return checked.entries

    def restore(self, archive: str) -> Restored:
        """Bring the entries of an archive in the sink's folder back; raises ArchiveError when it is not whole."""
        self.check_archive(archive)
        done = self._post(wire.RestoredView, f"/archive/{quote(archive, safe='')}/restore", {})
        return Restored(done.restored, done.existing)

    def quarantine(self) -> Iterator[Unreadable]:
        """Yield the messages of the error topic that could not be read."""
        after: dict[str, Any] = {}
        while True:
            page = self._get(wire.QuarantineView, "/quarantine", {"limit": _PAGE, **after})
            for each in page.messages:
                yield Unreadable(**each.model_dump(exclude={"quarantined_at"}))
            if page.after is None:
                return
            after = {"after": page.after}

    def reimport(self) -> Reimported:
        """Read the messages in quarantine again."""
        done = self._post(wire.ReimportedView, "/quarantine/reimport", {})
        return Reimported(done.imported, done.kept)

    def get(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what is at a path, None where there is nothing."""
        try:
            return self._get(dict[str, Any], path, parameters)
        except _NotThereError:
            return None

    def post(self, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Have something done and return what came of it; raises RefusedError when the sink refuses it."""
        return self._post(dict[str, Any], path, content)

    def selected(self, selection: Selection) -> dict[str, Any]:
        """Return a selection as the API takes it."""
        return _selected(selection)

    def _get(self, form: type[Answer], path: str, parameters: Mapping[str, Any]) -> Answer:
        return self._call(TypeAdapter(form), "GET", path, parameters=parameters)

    def _find(self, form: type[Answer], path: str) -> Answer | None:
        try:
            return self._call(TypeAdapter(form), "GET", path)
        except _NotThereError:
            return None

    def _post(self, form: type[Answer], path: str, content: Mapping[str, Any]) -> Answer:
        return self._call(TypeAdapter(form), "POST", path, content=content)

    def _call(
        self,
        form: TypeAdapter[Answer],
        method: str,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> Answer:
        at = self._client.base_url.copy_with(path="").host
        try:
            response = self._client.request(method, path, params=parameters, json=content)
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(f"the sink at {at} cannot be reached: {reason}") from None
        try:
            if response.is_success:
                return form.validate_json(response.content)
            problem = wire.Problem.model_validate_json(response.content)
        except ValidationError:
            raise UnreachableError(
                f"what answers at {at} is no sink of this version (status {response.status_code})"
            ) from None
        raise _refusal(problem)


class _NotThereError(WrongUse):
    """There is no such thing at the sink."""


def _refusal(problem: wire.Problem) -> Exception:
    parts = "; ".join(f"{each.where}: {each.what}" for each in problem.wrong or ())
    said = parts or problem.detail
    match problem.status:
        case HTTPStatus.NOT_FOUND:
            return _NotThereError(said)
        case HTTPStatus.UNAUTHORIZED:
            return WrongUse(f"{said} (INSTEP_TOKEN, or --token-file)")
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnreachableError(f"the sink cannot answer: {said}")
        case _ if problem.type.endswith(":archive"):
            return ArchiveError(said)
        case HTTPStatus.CONFLICT if problem.type.endswith(":refused"):
            return RefusedError(said)
        case _:
            return WrongUse(said)


def _selected(selection: Selection) -> dict[str, Any]:
    return {"ids": list(selection.ids)} if selection.ids else {"filter": _filter(selection)}


def _filter(selection: Selection) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "state": list(selection.states),
        "mapping": list(selection.mappings),
        "category": list(selection.categories),
        "code": list(selection.codes),
        "record": list(selection.records),
        "group": list(selection.groups),
        "fixer": list(selection.fixers),
        "text": selection.text,
        "older_than": selection.older_than,
        "newer_than": selection.newer_than,
    }
    return {name: value for name, value in parts.items() if value}
