"""A sink's store with millions of entries, written by the database itself: closed and relevant ones, in groups."""

import time

from sqlalchemy import Connection, create_engine

from sink.store.migrate import upgrade
from sink.store.tables import entry, group

MAPPINGS = 10
_CHUNK = 250_000
_CODES = ("too_long", "required_missing", "reference_missing", "permission_denied", "deadlock")
_DAY_US = 86_400_000_000

# The columns of an entry by its number `i`; the first `relevant` numbers are open, spread over all groups and the last month.
_COLUMNS = {
    "id": "{hex}",
    "key": "'[\"mapping ' || (i % {mappings}) || '\",\"forward\",\"R' || i || '\"]'",
    "mapping": "'mapping ' || (i % {mappings})",
    "direction": "'forward'",
    "record_id": "'R' || i",
    "state": "CASE WHEN i >= {relevant} THEN 'resolved' WHEN i % 20 = 0 THEN 'waiting' ELSE 'open' END",
    "row_version": "0",
    "count": "1 + i % 7",
    "category": "CASE i % 5 WHEN 3 THEN 'setup' WHEN 4 THEN 'transient' ELSE 'data' END",
    "code": "CASE i % 5 {codes} END",
    "scope": "'record'",
    "message": "'The value of field ' || (i % {groups}) || ' is longer than the 50 characters that the target takes.'",
    "parameters": '\'{{"field":"f\' || (i % {groups}) || \'","limit":"50"}}\'',
    "failure_id": "'failure ' || i",
    "attempt": "1",
    "attempts": "'[]'",
    "first_failed_us": "{now} - i % 30 * {day} - i % 1000",
    "last_failed_us": "{now} - i % 30 * {day} + i % 86400000",
    "source_app": "'erp'",
    "source_entity": "'entity ' || (i % {mappings})",
    "source_topic": "'erp.topic'",
    "source_partition": "0",
    "source_offset": "i",
    "source_timestamp_ms": "{now} / 1000",
    "target_app": "'crm'",
    "target_entity": "'account'",
    "target_record_id": "'R' || i",
    "worker": "'worker-1'",
    "worker_version": "'1'",
    "replay_topic": "'group.replay'",
    "resolved_by": "CASE WHEN i >= {relevant} THEN 'superseded' END",
    "closed_us": "CASE WHEN i >= {relevant} THEN {closed} END",
    "ages_from_us": "CASE WHEN i >= {relevant} THEN {closed} END",
    "group_id": "'group' || (1000 + i % {groups})",
    "group_version": "1",
    "failed_replays": "0",
    "origin": "'instep'",
}
_SERIES = {
    "postgresql": "generate_series({start}, {end} - 1) AS series(i)",
    "sqlite": "(WITH RECURSIVE series(i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM series WHERE i < {end} - 1) SELECT i FROM series)",
}
_HEX = {
    "postgresql": "lpad(to_hex(i::bigint * 2654435761), 16, '0')",
    "sqlite": "printf('%016x', i * 2654435761)",
}


def fill_store(url: str, entries: int, relevant: int, groups: int, *, closed_days_ago: int = 0) -> None:
    """Make the tables and fill them; `relevant` of the entries are not closed."""
    engine = create_engine(url)
    upgrade(engine)
    dialect, now_us = engine.dialect.name, time.time_ns() // 1000
    values = ", ".join(_COLUMNS.values()).format(
        hex=_HEX[dialect],
        mappings=MAPPINGS,
        relevant=relevant,
        groups=groups,
        now=now_us,
        closed=now_us - closed_days_ago * _DAY_US,
        day=_DAY_US,
        codes=" ".join(f"WHEN {number} THEN '{code}'" for number, code in enumerate(_CODES)),
    )
    with engine.begin() as connection:
        for index in entry.indexes:
            index.drop(connection)
    for start in range(0, entries, _CHUNK):
        with engine.begin() as connection:
            _insert(connection, values, start, min(start + _CHUNK, entries))
    with engine.begin() as connection:
        for index in entry.indexes:
            index.create(connection)
        _insert_groups(connection, groups, now_us)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # or it would begin by itself while something is measured
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def _insert(connection: Connection, values: str, start: int, end: int) -> None:
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    series = _SERIES[connection.dialect.name].format(start=start, end=end)
    statement = f"INSERT INTO {entry.name} ({names}) SELECT {values} FROM {series}"
    # psycopg takes a single % for a parameter
    connection.exec_driver_sql(
        statement.replace("%", "%%") if connection.dialect.name == "postgresql" else statement
    )


def _insert_groups(connection: Connection, groups: int, now_us: int) -> None:
    rows = [
        {
            "id": f"group{1000 + number}",
            "version": 1,
            "mapping": f"mapping {number % MAPPINGS}",
            "direction": "forward",
            "category": "data",
            "code": _CODES[number % 5],
            "message": f"The value of field {number} is longer than the … characters that the target takes.",
            "row_version": 0,
            "first_seen_us": now_us - 30 * _DAY_US,
            "last_seen_us": now_us - number,
        }
        for number in range(groups)
    ]
    connection.execute(group.insert(), rows)
