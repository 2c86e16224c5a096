import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Position, Resolution, SyncFailed, SyncResolved
from sink.fold import Folded, Heard, Standing, fold, with_decoded
from sink.states import ResolvedBy, State, Verdict
from tests.sink_events import failed, resolved


def heard(*events: SyncFailed | SyncResolved) -> list[Heard]:
    """Events as they come from the topic: not decoded, with themselves as their message."""
    return [
        Heard(
            isinstance(e, SyncFailed), e.failure_id, int(moment(e) * 1000), None, e, e.replay_id is not None
        )
        for e in events
    ]


def moment(event: SyncFailed | SyncResolved) -> float:
    return (event.failed_at if isinstance(event, SyncFailed) else event.resolved_at).timestamp()


def told(standing: Standing | None, *events: SyncFailed | SyncResolved) -> Folded:
    return fold(standing, with_decoded(standing, heard(*events), lambda each: each.message))


def standing(*events: SyncFailed | SyncResolved) -> Standing:
    after = told(None, *events).standing
    assert after is not None
    return after


def replaying(*events: SyncFailed | SyncResolved, replay_id: str = "r1") -> Standing:
    return dataclasses.replace(standing(*events), state=State.REPLAYING, replay_id=replay_id)


def test_first_failure_opens_an_entry() -> None:
    folded = told(None, failed())
    assert folded.standing is not None
    assert (folded.standing.state, folded.standing.count, folded.new) == (State.OPEN, 1, 1)


def test_failure_with_a_time_to_retry_waits() -> None:
    assert standing(failed(retry_s=10)).state is State.WAITING


def test_failure_after_its_last_retry_opens() -> None:
    assert standing(failed(retry_s=10), failed(attempt=2)).state is State.OPEN


def test_same_failure_reported_again_counts_once() -> None:
    folded = told(standing(failed()), failed())
    assert folded.standing == standing(failed())
    assert folded.repeats == 1


def test_later_failures_count_up() -> None:
    assert standing(failed(), failed(offset=1), failed(offset=2)).count == 3


def test_the_last_ten_failures_are_remembered() -> None:
    attempts = standing(*(failed(offset=n) for n in range(25))).attempts
    assert [a.failure_id for a in attempts] == [failed(offset=n).failure_id for n in range(15, 25)]


def test_resolution_closes_the_entry_and_says_how() -> None:
    folded = told(None, failed(), resolved(failed(), Resolution.REPLAY))
    assert folded.standing is not None
    assert folded.closing is not None
    assert (folded.standing.state, folded.closing.how) == (State.RESOLVED, ResolvedBy.REPLAY)


@pytest.mark.parametrize(
    ("how", "by"),
    [
        (Resolution.REPLAY, ResolvedBy.REPLAY),
        (Resolution.SUPERSEDED, ResolvedBy.SUPERSEDED),
        (Resolution.RELEASED, ResolvedBy.RELEASED),
        (Resolution.DROPPED, ResolvedBy.HAND),
    ],
)
def test_each_resolution_has_its_name(how: Resolution, by: ResolvedBy) -> None:
    closing = told(None, failed(), resolved(failed(), how)).closing
    assert closing is not None
    assert closing.how is by


def test_resolution_by_a_later_change_closes_whatever_failure_it_names() -> None:
    older = failed(offset=3)
    assert standing(older, failed(offset=5), resolved(older, offset=6)).state is State.RESOLVED


def test_resolution_by_an_earlier_change_leaves_the_newer_failure_open() -> None:
    older = failed(offset=3)
    assert standing(older, failed(offset=5), resolved(older, offset=4)).state is State.OPEN


def test_resolution_that_cannot_be_compared_goes_by_the_failure_id() -> None:
    app = failed(position=None)
    assert standing(app, resolved(app)).state is State.RESOLVED
    assert standing(app, resolved(failed(offset=9, position=None))).state is State.OPEN


def test_resolution_of_a_failure_never_heard_of_makes_no_entry() -> None:
    folded = told(None, resolved(failed()))
    assert folded.standing is None
    assert folded.unknown == 1


def test_closed_entry_that_fails_again_is_open_and_counts_on() -> None:
    folded = told(standing(failed(), resolved(failed())), failed(offset=2))
    assert folded.standing is not None
    assert (folded.standing.state, folded.standing.count, folded.new) == (State.OPEN, 2, 1)
    assert folded.closing is None


def test_reopened_entry_failed_first_when_it_was_reopened() -> None:
    again = failed(offset=2, seconds=500)
    assert standing(failed(), resolved(failed()), again).first_failed_us == standing(again).first_failed_us


def test_failed_replay_settles_it_and_opens_the_entry() -> None:
    folded = told(replaying(failed()), failed(attempt=2, replay_id="r1"))
    assert folded.standing is not None
    assert (folded.standing.state, folded.standing.replay_id) == (State.OPEN, None)
    assert [(s.replay_id, s.verdict, s.code) for s in folded.settled] == [
        ("r1", Verdict.FAILED_AGAIN, "too_long")
    ]


def test_replay_asked_for_twice_is_answered_by_the_same_failure_told_twice() -> None:
    once = standing(failed(), failed(attempt=2, replay_id="r1"))
    asked_again = dataclasses.replace(once, state=State.REPLAYING, replay_id="r2")
    folded = told(asked_again, failed(attempt=2, replay_id="r2"))
    assert folded.standing is not None
    assert (folded.standing.state, folded.standing.replay_id, folded.standing.count) == (State.OPEN, None, 2)
    assert [each.replay_id for each in folded.settled] == ["r2"]


def test_answer_told_twice_does_not_hide_the_new_failure_before_it() -> None:
    once = standing(failed(), failed(attempt=2, replay_id="r1"))
    folded = told(once, failed(offset=5), failed(attempt=2, replay_id="r2"))
    assert folded.failure == failed(offset=5)


def test_answer_to_a_replay_is_found_in_a_flood() -> None:
    events = [failed(attempt=2, replay_id="r1"), failed(offset=1), failed(offset=2)]
    assert [s.replay_id for s in told(replaying(failed()), *events).settled] == ["r1"]


def test_newer_failure_during_a_replay_opens_and_still_waits_for_the_answer() -> None:
    folded = told(replaying(failed()), failed(offset=1))
    assert folded.standing is not None
    assert (folded.standing.state, folded.standing.replay_id) == (State.OPEN, "r1")


def test_superseded_replay_of_an_older_failure_settles_and_leaves_the_newer_one_open() -> None:
    before = told(replaying(failed()), failed(offset=5)).standing
    folded = told(before, resolved(failed(), offset=4, replay_id="r1"))
    assert folded.standing is not None
    assert (folded.standing.state, folded.standing.replay_id) == (State.OPEN, None)


def test_late_verdict_still_closes_an_unconfirmed_entry() -> None:
    late = dataclasses.replace(replaying(failed()), state=State.UNCONFIRMED)
    folded = told(late, resolved(failed(), Resolution.REPLAY, replay_id="r1"))
    assert folded.standing is not None
    assert folded.standing.state is State.RESOLVED


def test_older_failure_read_late_counts_and_changes_nothing_else() -> None:
    before = standing(failed(offset=7), resolved(failed(offset=7)))
    folded = told(before, failed(offset=3))
    assert folded.standing is not None
    assert (folded.standing.state, folded.standing.count) == (State.RESOLVED, 2)
    assert folded.failure is None


def anew(offset: int) -> SyncFailed:
    """A failure at an offset of the source topic that was deleted and created again."""
    return failed(offset=offset, position=Position("erp.customers", 0, offset, 1_800_000_000_000 + offset))


def test_failure_at_a_lower_offset_of_a_topic_that_was_made_anew_opens_the_entry() -> None:
    folded = told(standing(failed(offset=7), resolved(failed(offset=7))), anew(3))
    assert folded.standing is not None
    assert (folded.standing.state, folded.new, folded.failure) == (State.OPEN, 1, anew(3))


def test_resolution_at_a_lower_offset_of_a_topic_that_was_made_anew_closes_the_failure_that_it_names() -> (
    None
):
    ended = resolved(failed(offset=7))._replace(position=anew(3).position)
    assert standing(failed(offset=7), ended).state is State.RESOLVED


def test_answer_to_a_replay_from_before_a_topic_was_made_anew_leaves_the_newer_failure_open() -> None:
    late = resolved(failed(offset=7), Resolution.SUPERSEDED, replay_id="replay")
    assert standing(failed(offset=7), anew(3), late).state is State.OPEN


def test_resolution_whose_clock_is_a_little_behind_closes_the_entry() -> None:
    ended = resolved(failed(offset=9))
    early = Position("erp.customers", 0, 9, 1_700_000_000_000 - 5_000)
    assert standing(failed(offset=7), ended._replace(position=early)).state is State.RESOLVED


def test_only_failures_that_nothing_or_a_resolution_follows_are_decoded() -> None:
    floods = [failed(offset=n) for n in range(5)]
    events: list[SyncFailed | SyncResolved] = [*floods, resolved(floods[-1]), failed(offset=6)]
    kept = with_decoded(None, heard(*events), lambda each: each.message)
    assert [each.event for each in kept] == [None, None, None, None, *events[4:]]


def test_repeated_failure_at_the_end_does_not_hide_the_one_it_repeats() -> None:
    folded = told(None, failed(offset=1), failed(offset=2), failed(offset=2))
    assert folded.failure == failed(offset=2)


def test_what_cannot_be_decoded_is_left_out_for_the_one_before() -> None:
    events = [failed(offset=1), failed(offset=2)]
    kept = with_decoded(
        None, heard(*events), lambda each: None if each.message == events[1] else each.message
    )
    assert [each.event for each in kept] == [events[0]]


@st.composite
def histories(draw: st.DrawFn) -> list[SyncFailed | SyncResolved]:
    """What workers may say of one record: changes fail, fail again at replays, are resolved; anything may be said twice."""
    events: list[SyncFailed | SyncResolved] = []
    last: SyncFailed | None = None
    first = None
    for offset in range(draw(st.integers(1, 12))):
        match draw(st.sampled_from(["fail", "again", "resolve", "twice"])):
            case "again" if last is not None and last.position is not None:
                last = failed(
                    offset=last.position.offset,
                    attempt=last.attempt + 1,
                    seconds=offset,
                    replay_id=draw(st.sampled_from([None, "r1", "r2"])),
                    first_failed_at=first,
                )
                events.append(last)
            case "resolve" if last is not None:
                how = draw(st.sampled_from(list(Resolution)))
                events.append(resolved(last, how, offset=offset, seconds=offset))
                last = None
            case "twice" if events:
                events.append(events[-1])
            case _:
                last = failed(offset=offset, seconds=offset, retry_s=draw(st.sampled_from([None, 5.0])))
                first = last.failed_at if not events or isinstance(events[-1], SyncResolved) else first
                last = dataclasses.replace(last, first_failed_at=first or last.failed_at)
                events.append(last)
    return events


def in_batches(
    events: Sequence[SyncFailed | SyncResolved], cuts: Sequence[int]
) -> tuple[Standing | None, tuple[int, ...]]:
    now: Standing | None = None
    totals = [0, 0, 0]
    edges = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        folded = told(now, *events[start:end])
        now = folded.standing
        totals = [a + b for a, b in zip(totals, (folded.new, folded.repeats, folded.resolved), strict=True)]
    return now, tuple(totals)


def without_codes(after: Standing | None) -> Standing | None:
    """What undecoded failures leave open: only their codes in the list of the last ten."""
    if after is None:
        return None
    return dataclasses.replace(after, attempts=tuple(a._replace(code=None) for a in after.attempts))


@given(histories(), st.lists(st.integers(0, 20), max_size=6))
def test_any_batching_ends_in_the_same_entry_and_counts(
    events: list[SyncFailed | SyncResolved], cuts: list[int]
) -> None:
    one_by_one, counts = in_batches(events, range(len(events) + 1))
    batched, batched_counts = in_batches(events, cuts)
    assert without_codes(batched) == without_codes(one_by_one)
    assert batched_counts == counts
