from hypothesis import given
from hypothesis import strategies as st

from sink.web.access.pace import MOST_CLIENTS, Allowance, Pace

FEW = Allowance(burst=3, every_s=10)
MANY = Allowance(burst=1000, every_s=0.01)


def test_a_burst_then_a_pace() -> None:
    pace = Pace(FEW, MANY)
    assert [pace.charge("a", 100.0) for _ in range(3)] == [0, 0, 0]
    assert pace.charge("a", 100.0) == 10
    assert pace.charge("a", 104.0) == 6
    assert pace.charge("a", 110.0) == 0
    assert pace.charge("a", 110.0) == 10


def test_one_client_holds_up_no_other() -> None:
    pace = Pace(FEW, MANY)
    for _ in range(4):
        pace.charge("a", 0.0)
    assert pace.charge("b", 0.0) == 0


def test_all_together_have_an_allowance_too() -> None:
    pace = Pace(MANY, FEW)
    assert [pace.charge(client, 0.0) for client in "abc"] == [0, 0, 0]
    assert pace.charge("d", 0.0) > 0


def test_a_right_secret_costs_nothing() -> None:
    pace = Pace(FEW, FEW)
    for _ in range(50):
        assert pace.charge("a", 0.0) == 0
        pace.give_back("a")


def test_waiting_is_not_saved_up() -> None:
    pace = Pace(FEW, MANY)
    pace.charge("a", 0.0)
    assert [pace.charge("a", 10_000.0) > 0 for _ in range(4)] == [False, False, False, True]


def test_memory_is_bounded() -> None:
    pace = Pace(FEW, MANY)
    for number in range(MOST_CLIENTS + 100):
        pace.charge(str(number), number * 1.0)
    assert len(pace._paid_at) == MOST_CLIENTS


@given(st.lists(st.floats(0, 60), max_size=80))
def test_no_client_tries_more_often_than_allowed(pauses: list[float]) -> None:
    pace, now, passed = Pace(FEW, MANY), 0.0, 0
    for pause in pauses:
        now += pause
        passed += pace.charge("a", now) == 0
    assert passed <= FEW.burst + now / FEW.every_s + 1e-6
