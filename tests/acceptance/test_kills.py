"""kill -9 of workers and sink at random moments: afterwards the target is right, and so is the list of errors."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.acceptance.storm import Storm, make_storm
from tests.acceptance.world import MakeWorld
from tests.contract.connectors.target import Target
from tests.services.postgres import Postgres

SHORT_S = 20.0
SOAK_MINUTES = float(os.environ.get("INSTEP_SOAK_MINUTES", "10"))
SEED = int(os.environ.get("INSTEP_SOAK_SEED") or random.randrange(10**6))


@pytest.fixture
def storm(make_world: MakeWorld, pg_crm: Target, postgres: Postgres) -> Iterator[Storm]:
    """A storm about to begin; what is printed says how to repeat it."""
    print(f"INSTEP_SOAK_SEED={SEED}")  # noqa: T201  shown when the test fails
    names = [postgres.create_database() for _ in range(2)]
    state, store = (postgres.url(name) for name in names)
    yield make_storm(make_world, pg_crm, state, store, SEED)
    for name in names:
        postgres.drop_database(name)


def blow(storm: Storm, seconds: float) -> None:
    storm.rage(seconds)
    storm.calm()
    storm.check()
    assert storm.kills["worker"]
    assert storm.kills["sink"] or seconds == SHORT_S
    print(f"{dict(storm.kills)} kills, {len(storm.expected)} records")  # noqa: T201  what the soak did


@pytest.mark.timeout(300)
def test_killed_at_random_for_a_moment(storm: Storm) -> None:
    blow(storm, SHORT_S)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_MINUTES * 60 + 900)
def test_killed_at_random_for_minutes(storm: Storm) -> None:
    blow(storm, SOAK_MINUTES * 60)
