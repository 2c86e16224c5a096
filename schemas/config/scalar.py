"""The small types that configuration values have: durations, addresses, names, database URLs."""

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.config.problem import did_you_mean

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([1-9]\d{0,8})(ms|s|m|h|d)", re.ASCII)
# A date as far away as this is still a date.
_LONGEST = timedelta(days=36_500)
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):(\d{1,5})")

STATE_SCHEMES = ("sqlite", "postgresql", "postgresql+psycopg")
SQL_SCHEMES = (*STATE_SCHEMES, "mysql", "mysql+pymysql", "mariadb", "mariadb+pymysql")


class Address(NamedTuple):
    """A host and port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def wrong(what: str) -> PydanticCustomError:
    """Return the error that becomes a problem with exactly these words (braces and all)."""
    return PydanticCustomError("instep", "{what}", {"what": what})


def parse_duration(text: object) -> timedelta:
    """Turn 7d, 12h, 30m, 45s or 250ms into a duration; raises PydanticCustomError."""
    if isinstance(text, timedelta):
        return text
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise wrong("must be a whole number above 0 and a unit, such as 7d, 12h, 30m, 45s or 250ms")
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > _LONGEST:
        raise wrong("must be 36500d at most")
    return duration


def parse_address(text: object) -> Address:
    """Turn host:port into an Address; an IPv6 host stands in brackets; raises PydanticCustomError."""
    if isinstance(text, Address):
        return text
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if found is None or int(found[2]) > 65535:
        raise wrong("must be host:port, such as 127.0.0.1:8080")
    return Address(found[1].strip("[]"), int(found[2]))


def _whole_number(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise wrong("must be a whole number")
    return value


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise wrong("names the same field twice")
    return names


def _bootstrap(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _server(value: str) -> str:
    parse_address(value)
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise wrong(
            "must be an address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8, and no host name"
        ) from None
    return value


def database_url(value: SecretStr, schemes: tuple[str, ...]) -> SecretStr:
    """Return a URL whose scheme is one of `schemes`; raises PydanticCustomError without showing the URL."""
    scheme, separator, rest = value.get_secret_value().partition("://")
    if not separator:
        raise wrong(
            f"must be a database URL that starts with one of: {', '.join(f'{s}://' for s in schemes)}"
        )
    if scheme not in schemes:
        listed = ", ".join(schemes)
        raise wrong(
            f'cannot use a database of the kind "{scheme}"; known are {listed}.{did_you_mean(scheme, schemes)}'
        )
    if scheme == "sqlite" and rest.strip("/") in ("", ":memory:"):
        raise wrong("must name a file, such as sqlite:///instep.db: what is in memory is lost at the end")
    return value


def _state_url(value: SecretStr) -> SecretStr:
    return database_url(value, STATE_SCHEMES)


WHOLE = BeforeValidator(_whole_number)
"""Put last on an int: pydantic alone would take true for 1 and 2.0 for 2."""
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[1-9][0-9]{0,8}(ms|s|m|h|d)$", "examples": ["7d", "30s"]}
    ),
]
ListenAddress = Annotated[
    Address,
    BeforeValidator(parse_address),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8080"]}),
]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}$")]
FieldNames = Annotated[
    tuple[Text, ...],
    BeforeValidator(_names, json_schema_input_type=str | list[str]),
    Field(min_length=1),
    AfterValidator(_distinct),
]
Network = Annotated[str, AfterValidator(_network)]
Servers = Annotated[
    tuple[Annotated[str, AfterValidator(_server)], ...],
    BeforeValidator(_bootstrap, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]
StateUrl = Annotated[SecretStr, AfterValidator(_state_url)]
