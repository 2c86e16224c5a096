from itertools import product

import pytest

from sink.roles import Role
from sink.web.access.person import Person
from sink.web.access.sign_in import own_place

RANKS = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]


def test_each_role_covers_itself_and_those_before_it() -> None:
    assert {(a, b) for a, b in product(RANKS, RANKS) if a.covers(b)} == {
        (RANKS[i], RANKS[j]) for i in range(3) for j in range(i + 1)
    }


@pytest.mark.parametrize(
    ("role", "values", "raw"), [("viewer", False, False), ("operator", True, False), ("admin", True, True)]
)
def test_what_a_role_sees(role: str, values: bool, raw: bool) -> None:
    person = Person("a", Role(role), "api", None)
    assert (person.sees_values, person.sees_bytes) == (values, raw)


@pytest.mark.parametrize("place", ["/", "/entries?state=open&text=a%20b", "/entries/1"])
def test_signing_in_leads_on_within_the_sink(place: str) -> None:
    assert own_place(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\/evil", "/\t/evil.example", "/a\r\nSet-Cookie: x",
        "", "javascript:alert(1)", "/sign-in", "/sign-out", "/" + "x" * 3000, "/\u202egnp",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(place: str) -> None:
    assert own_place(place) == "/"
