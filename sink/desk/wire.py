"""What a desk says over HTTP: the API answers in these forms, and a desk far away reads them."""

from datetime import datetime
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field

from schemas.events import Position, RecordReference
from sink.fold import Attempt
from sink.moment import from_us, to_us
from sink.states import Action, Refusal, State, Verdict
from sink.store.entries import Entry, Replay, Tally
from sink.store.rows import name
from sink.store.transitions import Moved, Refused, Step

NO_NUL = r"^[^\x00]*$"
"""The pattern of texts that a database has a place for."""

Times = Annotated[datetime, Field(description="ISO 8601, UTC.")]


def moment(us: int) -> datetime:
    """Return microseconds since 1970 as they stand in an answer."""
    return from_us(us)


def moment_or_none(us: int | None) -> datetime | None:
    """Return microseconds since 1970, if any, as they stand in an answer."""
    return None if us is None else from_us(us)


def _us(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


class Form(BaseModel):
    """A form in which nothing is taken that it does not have."""

    model_config = ConfigDict(extra="forbid")


class Wrong(BaseModel):
    """One part of a request that is wrong."""

    where: str = Field(description="The parameter, the header, or the path within the body.")
    what: str


class Problem(BaseModel):
    """Why a request was not carried out."""

    type: str = Field(description="What kind of problem it is, stable: urn:instep:problem:…")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, for people.")
    wrong: list[Wrong] | None = Field(default=None, description="The parts of the request that are wrong.")
    refused: str | None = Field(default=None, description="Why the step is not allowed, as a stable word.")


class RecordView(BaseModel):
    """One record in one app."""

    app: str
    entity: str
    record_id: str
    link: str | None = None

    @classmethod
    def of(cls, record: RecordReference) -> "RecordView":
        """Return the view of a record."""
        return cls(app=record.app, entity=record.entity, record_id=record.record_id, link=record.link)

    def reference(self) -> RecordReference:
        """Return what this is the view of."""
        return RecordReference(self.app, self.entity, self.record_id, self.link)


class PositionView(BaseModel):
    """Where a change stands in Kafka."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class AttemptView(BaseModel):
    """One of the last failures of an entry."""

    failure_id: str
    at_ms: int
    code: str | None


class EntryView(BaseModel):
    """One record of one mapping that failed, and how it stands now."""

    id: str
    row_version: int = Field(description="Goes up with every change; it is the ETag of the entry.")
    mapping: str
    direction: str
    record_id: str
    state: State
    category: str
    code: str
    scope: str
    message: str
    parameters: dict[str, str]
    count: int = Field(description="How often it failed.")
    first_failed_at: Times
    last_failed_at: Times
    retry_at: Times | None
    waits_for: RecordView | None
    failure_id: str
    attempt: int
    attempts: list[AttemptView]
    source: RecordView
    position: PositionView | None
    target: RecordView
    exception_type: str | None
    top_frame: str | None
    trace: str | None = Field(description="For the role operator; null for a viewer.")
    worker: str
    worker_version: str
    resolved_by: str | None
    outcome: str | None
    closed_at: Times | None
    closed_by: str | None
    reason: str | None
    group_id: str
    failed_replays: int
    origin: str

    @classmethod
    def of(cls, entry: Entry) -> "EntryView":
        """Return the view of an entry."""
        # the key is exact where the columns are cleaned
        mapping, direction, record_id = orjson.loads(entry.key)
        position = entry.position
        return cls(
            **{each: getattr(entry, each) for each in _SAME},
            mapping=mapping,
            direction=direction,
            record_id=record_id,
            parameters=dict(entry.parameters),
            first_failed_at=moment(entry.first_failed_us),
            last_failed_at=moment(entry.last_failed_us),
            retry_at=moment_or_none(entry.retry_at_us),
            closed_at=moment_or_none(entry.closed_us),
            waits_for=None if entry.waits_for is None else RecordView.of(entry.waits_for),
            attempts=[AttemptView(**each._asdict()) for each in entry.attempts],
            source=RecordView.of(entry.source),
            target=RecordView.of(entry.target),
            position=None
            if position is None
            else PositionView(**{each: getattr(position, each) for each in PositionView.model_fields}),
        )

    def entry(self) -> Entry:
        """Return what this is the view of, but for where its message is kept."""
        position = None if self.position is None else Position(**self.position.model_dump())
        return Entry(
            **{each: getattr(self, each) for each in _SAME},
            key=orjson.dumps([self.mapping, self.direction, self.record_id]).decode(),
            mapping=name(self.mapping),
            direction=name(self.direction),
            record_id=name(self.record_id),
            parameters=self.parameters,
            first_failed_us=to_us(self.first_failed_at),
            last_failed_us=to_us(self.last_failed_at),
            retry_at_us=_us(self.retry_at),
            closed_us=_us(self.closed_at),
            waits_for=None if self.waits_for is None else self.waits_for.reference(),
            attempts=tuple(Attempt(each.failure_id, each.at_ms, each.code) for each in self.attempts),
            source=self.source.reference(),
            target=self.target.reference(),
            position=position,
            payload_id=None,
        )


_SAME = (
    "id", "row_version", "state", "category", "code", "scope", "message", "count", "failure_id", "attempt",
    "exception_type", "top_frame", "trace", "worker", "worker_version", "resolved_by", "outcome", "closed_by",
    "reason", "group_id", "failed_replays", "origin",
)  # fmt: skip


class EntryPageView(BaseModel):
    """A page of entries, the last failed first."""

    entries: list[EntryView]
    after: str | None = Field(description="Send it as `after` for the next page; null: there is none.")


class ReplayView(BaseModel):
    """One replay of an entry, as it was asked for and how it ended."""

    id: str
    decision: str
    scheduled: bool
    actor: str
    requested_at: Times
    sent_at: Times | None
    verdict: str | None
    verdict_at: Times | None
    code: str | None

    @classmethod
    def of(cls, replay: Replay) -> "ReplayView":
        """Return the view of a replay."""
        return cls(
            id=replay.id,
            decision=replay.decision,
            scheduled=replay.scheduled,
            actor=replay.actor,
            requested_at=moment(replay.requested_us),
            sent_at=moment_or_none(replay.sent_us),
            verdict=replay.verdict,
            verdict_at=moment_or_none(replay.verdict_us),
            code=replay.code,
        )

    def replay(self) -> Replay:
        """Return what this is the view of."""
        return Replay(
            id=self.id,
            decision=self.decision,
            scheduled=self.scheduled,
            actor=self.actor,
            requested_us=to_us(self.requested_at),
            sent_us=_us(self.sent_at),
            verdict=self.verdict,
            verdict_us=_us(self.verdict_at),
            code=self.code,
        )


class EntryDetailView(EntryView):
    """All that is known of an entry, but for the message of its change."""

    replays: list[ReplayView] = Field(description="The last ten, the newest first.")
    message_bytes: int | None = Field(description="How large the message of the change is; null: not kept.")


class MessageView(BaseModel):
    """The message of a change as text; bytes that are no text are escaped."""

    key: str | None
    value: str | None


class TallyView(BaseModel):
    """How many entries of one state and category there are."""

    state: State
    category: str
    entries: int
    last_failed_at: Times = Field(description="When the newest of them last failed.")

    @classmethod
    def of(cls, tally: Tally) -> "TallyView":
        """Return the view of a tally."""
        return cls(
            state=tally.state,
            category=tally.category,
            entries=tally.entries,
            last_failed_at=moment(tally.last_failed_us),
        )

    def tally(self) -> Tally:
        """Return what this is the view of."""
        return Tally(self.state, self.category, self.entries, to_us(self.last_failed_at))


class ChosenView(BaseModel):
    """The entries that are selected at this moment, the first failed first."""

    ids: list[str]
    tallies: list[TallyView]


class StepView(BaseModel):
    """What became of one entry in an action."""

    id: str
    done: bool
    replay_id: str | None = Field(default=None, description="The replay that the sink sends for it.")
    state: State | None = Field(
        default=None, description="Where a refused entry stands; null: there is none."
    )
    refused: str | None = Field(default=None, description="Why not, as a stable word.")
    why: str | None = Field(default=None, description="Why not, for people.")

    @classmethod
    def of(cls, step: Step) -> "StepView":
        """Return the view of a step."""
        match step:
            case Moved(entry_id, replay_id):
                return cls(id=entry_id, done=True, replay_id=replay_id)
            case Refused(entry_id, state, reason):
                return cls(id=entry_id, done=False, state=state, refused=reason.name.lower(), why=str(reason))

    def step(self) -> Step:
        """Return what this is the view of."""
        if self.refused is None:
            return Moved(self.id, self.replay_id)
        return Refused(self.id, self.state, Refusal[self.refused.upper()])


class StepsView(BaseModel):
    """What became of the entries of an action."""

    done: int
    refused: int
    steps: list[StepView]


class VerdictView(BaseModel):
    """How a replay ended."""

    replay_id: str
    verdict: Verdict
    code: str | None = Field(description="The code of the new failure.")


class ActionForm(Form):
    """What is to be done."""

    action: Action
    reason: str | None = Field(
        default=None, max_length=2000, pattern=NO_NUL, description="Why; it is kept with the entry."
    )


class ClearPlanView(BaseModel):
    """What clearing would delete."""

    archive: str = Field(description="The name of the archive file that would be written.")
    tallies: list[TallyView]


class ClearDoneView(BaseModel):
    """What clearing did."""

    archive: str | None = Field(description="The archive in the sink's folder; null: nothing was deleted.")
    deleted: int
    changed: int = Field(description="Entries that changed meanwhile and were left alone.")
    unsent: int = Field(description="Entries left alone, as the sink has not told the worker of them yet.")


class ArchiveView(BaseModel):
    """One archive file in the sink's folder."""

    name: str
    bytes: int
    written_at: Times


class CheckedView(BaseModel):
    """An archive that is whole."""

    name: str
    entries: int


class RestoredView(BaseModel):
    """What restoring did."""

    restored: int
    existing: int = Field(description="Entries that stand in the list already and were left alone.")


class UnreadableView(BaseModel):
    """A message of the error topic that could not be read."""

    id: int
    topic: str
    partition: int
    offset: int
    reason: str
    newer: bool = Field(description="Whether a newer Instep wrote it, which this one cannot read.")
    bytes: int
    quarantined_at: Times


class QuarantineView(BaseModel):
    """A page of the quarantine, in the order of topic, partition and offset."""

    messages: list[UnreadableView]
    after: str | None = Field(description="Send it as `after` for the next page; null: there is none.")


class ReimportedView(BaseModel):
    """What reading the quarantine again did."""

    imported: int
    kept: int = Field(description="Messages that still cannot be read.")
