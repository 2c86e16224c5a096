"""Entries as programs and people get to see them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from schemas.events import RecordReference
from sink.console.inert import inert
from sink.moment import from_us, to_text
from sink.store.entries import Entry, Replay

SHORT_ID = 8
_STEPS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))

COLUMNS = (
    "id",
    "mapping",
    "direction",
    "record_id",
    "category",
    "code",
    "state",
    "message",
    "count",
    "first_failed_at",
    "last_failed_at",
    "resolved_by",
)


def as_json(entry: Entry) -> dict[str, Any]:
    """Return an entry in the form of `--json`; times in ISO 8601, UTC."""
    mapping, direction, record_id = orjson.loads(entry.key)
    return {
        "id": entry.id,
        "mapping": mapping,
        "direction": direction,
        "record_id": record_id,
        "category": entry.category,
        "code": entry.code,
        "scope": entry.scope,
        "state": str(entry.state),
        "message": entry.message,
        "parameters": dict(entry.parameters),
        "count": entry.count,
        "first_failed_at": to_text(entry.first_failed_us),
        "last_failed_at": to_text(entry.last_failed_us),
        "retry_at": to_text(entry.retry_at_us),
        "resolved_by": entry.resolved_by,
        "outcome": entry.outcome,
        "closed_at": to_text(entry.closed_us),
        "closed_by": entry.closed_by,
        "reason": entry.reason,
        "failure_id": entry.failure_id,
        "worker": entry.worker,
        "source": {**_reference(entry.source, record_id), **_position(entry)},
        "target": _reference(entry.target, entry.target.record_id),
    }


def replay_json(replay: Replay) -> dict[str, Any]:
    """Return a replay in the form of `--json`."""
    return {
        "replay_id": replay.id,
        "decision": replay.decision,
        "scheduled": replay.scheduled,
        "actor": replay.actor,
        "requested_at": to_text(replay.requested_us),
        "sent_at": to_text(replay.sent_us),
        "verdict": replay.verdict,
        "verdict_at": to_text(replay.verdict_us),
        "code": replay.code,
    }


def line(values: Mapping[str, Any]) -> str:
    """Return one line of JSON in ASCII: no terminal obeys what is in it."""
    return json.dumps(values)


def ago(us: int, now_us: int) -> str:
    """Return how long ago a moment was, in its two largest units."""
    left = max(0, (now_us - us) // 1_000_000)
    parts: list[str] = []
    for seconds, unit in _STEPS:
        number, left = divmod(left, seconds)
        if number or parts:
            parts.append(f"{number} {unit}")
        if len(parts) == 2 or (parts and unit == "min"):
            break
    return f"{' '.join(part for part in parts if not part.startswith('0 '))} ago" if parts else "now"


def moment(us: int | None, now_us: int) -> str:
    """Return a moment for people: when exactly, and how long ago or ahead."""
    if us is None:
        return ""
    exact = f"{from_us(us).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{exact} (in {ago(2 * now_us - us, now_us).removesuffix(' ago')})"
        if us > now_us
        else f"{exact} ({ago(us, now_us)})"
    )


def reference(record: RecordReference) -> str:
    """Return a record as `app entity id`, inert."""
    return inert(f"{record.app} {record.entity} {record.record_id}".strip())


def stamp(moment_: datetime) -> str:
    """Return a moment as part of a file name."""
    return f"{moment_.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _reference(record: RecordReference, record_id: str) -> dict[str, Any]:
    return {"app": record.app, "entity": record.entity, "record_id": record_id, "link": record.link}


def _position(entry: Entry) -> dict[str, Any]:
    position = entry.position
    if position is None:
        return {"topic": None, "partition": None, "offset": None}
    return {"topic": position.topic, "partition": position.partition, "offset": position.offset}
