"""Where a request comes from, when a proxy may stand between: its headers are believed only of proxies that are trusted. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_FORWARDED = frozenset(
    {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"}
)

Network = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: `client` is an address, `scheme` what the client used, `host` what it asked for.

    `forwarded` says that a proxy, trusted or not, had a hand in it.
    """

    client: str
    scheme: str
    host: str
    forwarded: bool


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return addresses and networks as networks; raises ValueError on what is neither."""
    return tuple(ip_network(text) for text in texts)


def origin(peer: str, scheme: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> Origin:
    """Return where a request comes from, by the address of the connection and its headers (names in lower case)."""
    forwarded = not _FORWARDED.isdisjoint(headers)
    host = headers.get("host", "")
    if not _is_trusted(_address(peer), trusted):
        return Origin(peer, scheme, host, forwarded)
    claimed = _last(headers.get("x-forwarded-proto", "")).lower()
    return Origin(
        client=_client(peer, headers.get("x-forwarded-for", ""), trusted),
        scheme=claimed if claimed in ("http", "https") else scheme,
        host=_last(headers.get("x-forwarded-host", "")) or host,
        forwarded=forwarded,
    )


def is_loopback(host: str) -> bool:
    """Whether a name or an address, as it stands in a URL or a socket, is that of this machine to itself."""
    address = _address(host.strip("[]"))
    return host.lower() == "localhost" if address is None else address.is_loopback


def host_name(host: str) -> str:
    """Return a Host header without its port."""
    name, separator, port = host.rpartition(":")
    return name if separator and (port.isdigit() or not port) else host


def network_of(client: str) -> str:
    """Return whom an address stands for when requests are counted: in IPv6 one person has a whole /64."""
    address = _address(client)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return client if address is None else str(address)


def _client(peer: str, chain: str, trusted: Sequence[Network]) -> str:
    # Each proxy adds whom it was asked by at the end, so what stands left of the first stranger is hearsay.
    client = peer
    for hop in reversed([part.strip() for part in chain.split(",") if part.strip()]):
        address = _address(hop)
        if address is None:
            break
        client = str(address)
        if not _is_trusted(address, trusted):
            break
    return client


def _is_trusted(address: IpAddress | None, trusted: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> IpAddress | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _last(text: str) -> str:
    return text.rpartition(",")[2].strip()
