"""Events of any content, for hypothesis, and one of each with defaults."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from schemas.events import (
    Decision,
    Event,
    OriginalRecord,
    Outcome,
    Position,
    RecordReference,
    ReplayRequest,
    Resolution,
    SyncFailed,
    SyncProgress,
    SyncResolved,
)

text = st.text(max_size=20)
maybe_text = st.none() | text
long = st.integers(-(2**63), 2**63 - 1)
instants = st.datetimes(timezones=st.just(UTC))
maybe_bytes = st.none() | st.binary(max_size=40)

references = st.builds(RecordReference, text, text, text, maybe_text)
positions = st.builds(Position, text, st.integers(0, 2**31 - 1), long, long)
headers = st.lists(st.tuples(text, maybe_bytes), max_size=3).map(tuple)
originals = st.builds(OriginalRecord, maybe_bytes, maybe_bytes, headers)

resolutions = st.builds(
    SyncResolved,
    failure_id=text,
    mapping=text,
    direction=text,
    record_id=text,
    how=st.sampled_from(Resolution),
    outcome=st.none() | st.sampled_from(Outcome),
    replay_id=maybe_text,
    position=st.none() | positions,
    resolved_at=instants,
    worker=text,
)
requests = st.builds(
    ReplayRequest,
    replay_id=text,
    failure_id=text,
    mapping=text,
    direction=text,
    record_id=text,
    decision=st.sampled_from(Decision),
    scheduled=st.booleans(),
    position=positions,
    original=st.none() | originals,
    corrections=st.none() | st.dictionaries(text, text, max_size=2),
)

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        SyncFailed,
        failure_id=text,
        mapping=text,
        direction=text,
        source=references,
        target=references,
        category=text,
        code=text,
        scope=text,
        parameters=st.dictionaries(text, text, max_size=3),
        message=text,
        exception_type=maybe_text,
        top_frame=maybe_text,
        trace=maybe_text,
        attempt=st.integers(1, 2**31 - 1),
        first_failed_at=instants,
        failed_at=instants,
        retry_at=st.none() | instants,
        waits_for=st.none() | references,
        position=st.none() | positions,
        original=st.none() | originals,
        replay_topic=text,
        replay_id=maybe_text,
        worker=text,
        version=text,
    ),
    resolutions,
    st.builds(
        SyncProgress,
        worker=text,
        group=text,
        mapping=text,
        direction=text,
        at=instants,
        started_at=instants,
        counts=st.dictionaries(text, long, max_size=3),
        lag_records=st.none() | long,
        paused_code=maybe_text,
    ),
    requests,
)


def resolved(*, failure_id: str = "f", record_id: str = "C1") -> SyncResolved:
    return SyncResolved(
        failure_id=failure_id,
        mapping="customers",
        direction="forward",
        record_id=record_id,
        how=Resolution.SUPERSEDED,
        outcome=Outcome.MODIFIED,
        replay_id=None,
        position=Position("erp.customers", 1, 2, 3),
        resolved_at=datetime(2026, 11, 23, tzinfo=UTC),
        worker="w",
    )
