from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from schemas.config.scalar import Address, parse_address, parse_duration

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


@given(st.integers(1, 36_500), st.sampled_from(sorted(SECONDS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}").total_seconds() == pytest.approx(number * SECONDS[unit])


@pytest.mark.parametrize("written", ["0s", "7", "7 d", "-7d", "7D", "1d12h", "999999999999d", "٣d", ""])
def test_durations_that_are_none(written: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(written)


@pytest.mark.parametrize("written", ["36501d", "999999999d", "876001h"])
def test_a_duration_of_more_than_a_century_is_refused(written: str) -> None:
    with pytest.raises(PydanticCustomError, match="36500d at most"):
        parse_duration(written)


@given(
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True) | st.ip_addresses(v=4).map(str),
    st.integers(0, 65535),
)
def test_an_address_is_read_as_it_is_written(host: str, port: int) -> None:
    assert parse_address(f"{host}:{port}") == Address(host, port)


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_an_ipv6_host_stands_in_brackets(host: IPv6Address, port: int) -> None:
    assert str(parse_address(f"[{host}]:{port}")) == f"[{host}]:{port}"


@pytest.mark.parametrize(
    "written", ["", "localhost", ":80", "a:b", "a:65536", "::1:80", "a b:80", 8080, None]
)
def test_addresses_that_are_none(written: object) -> None:
    with pytest.raises(PydanticCustomError, match="host:port"):
        parse_address(written)
