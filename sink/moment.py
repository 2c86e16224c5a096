"""Points in time as the store keeps them: whole microseconds since 1970, in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(micros: int) -> datetime:
    """Return microseconds since 1970 as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def to_text(micros: int | None) -> str | None:
    """Return ISO 8601 with a Z, to the millisecond, for programs."""
    if micros is None:
        return None
    return from_us(micros).isoformat(timespec="milliseconds").replace("+00:00", "Z")
