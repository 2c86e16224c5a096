import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink.web.access.forwarded import Origin, host_name, is_loopback, network_of, networks, origin

PROXIES = networks(["10.0.0.0/8", "127.0.0.1"])


def seen(peer: str, trusted: bool = True, **headers: str) -> Origin:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return origin(peer, "http", {"host": "sink.example", **named}, PROXIES if trusted else ())


def test_without_a_proxy_the_connection_tells_it_all() -> None:
    assert seen("192.0.2.7") == Origin("192.0.2.7", "http", "sink.example", forwarded=False)


def test_headers_of_a_stranger_are_not_believed_but_noticed() -> None:
    told = seen("192.0.2.7", x_forwarded_for="127.0.0.1", x_forwarded_proto="https", x_forwarded_host="evil")
    assert told == Origin("192.0.2.7", "http", "sink.example", forwarded=True)


def test_headers_of_a_trusted_proxy_are_believed() -> None:
    told = seen(
        "10.1.1.1", x_forwarded_for="192.0.2.7", x_forwarded_proto="https", x_forwarded_host="a.example"
    )
    assert told == Origin("192.0.2.7", "https", "a.example", forwarded=True)


def test_what_a_client_wrote_before_the_first_trusted_proxy_is_hearsay() -> None:
    assert seen("10.1.1.1", x_forwarded_for="127.0.0.1, 192.0.2.7, 10.2.2.2").client == "192.0.2.7"


def test_a_chain_that_cannot_be_read_ends_at_the_last_proxy_that_could() -> None:
    assert seen("10.1.1.1", x_forwarded_for="192.0.2.7, unknown, 10.2.2.2").client == "10.2.2.2"


def test_an_unknown_scheme_is_not_believed() -> None:
    assert seen("10.1.1.1", x_forwarded_proto="gopher").scheme == "http"


def test_an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() -> None:
    assert seen("::ffff:10.1.1.1", x_forwarded_for="192.0.2.7").client == "192.0.2.7"
    assert is_loopback("::ffff:127.0.0.1")


@pytest.mark.parametrize("header", ["forwarded", "via", "x_real_ip", "x_forwarded_for", "x_forwarded_host"])
def test_every_sign_of_a_proxy_is_noticed(header: str) -> None:
    assert seen("127.0.0.1", trusted=False, **{header: "x"}).forwarded


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "localhost.example", "127.0.0.1.example", "10.0.0.1", "2130706433"]
)
def test_no_names_of_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "name"),
    [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a:", "a"), ("a:b", "a:b")],
)
def test_host_without_its_port(host: str, name: str) -> None:
    assert host_name(host) == name


def test_a_person_with_ipv6_has_a_network_to_choose_from() -> None:
    assert (
        network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1") != network_of("2001:db8:1:3::1")
    )
    assert network_of("192.0.2.7") != network_of("192.0.2.8")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_no_header_makes_a_stranger_somebody_else(chain: str, host: str, scheme: str) -> None:
    told = seen(
        "192.0.2.7", x_forwarded_for=chain, x_forwarded_host=host, x_forwarded_proto=scheme, via=chain
    )
    assert told == Origin("192.0.2.7", "http", "sink.example", forwarded=True)


@given(st.text(max_size=60))
def test_a_chain_of_any_shape_gives_an_address(chain: str) -> None:
    assert network_of(seen("10.1.1.1", x_forwarded_for=chain).client)
