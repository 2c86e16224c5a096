"""The tables of the state store."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

VERSION_TABLE = "instep_worker_version"

metadata = MetaData()

open_failure = Table(
    "instep_open_failure",
    metadata,
    Column("worker_group", String(200), primary_key=True),
    Column("mapping", String(200), primary_key=True),
    Column("record_hash", String(64), primary_key=True),
    Column("record_id", Text, nullable=False),
    Column("failure_id", String(36), nullable=False),
    Column("code", String(64), nullable=False),
    Column("topic", String(250), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("first_failed_at_us", BigInteger, nullable=False),
    # of the failed message
    Column("timestamp_ms", BigInteger, nullable=False),
    # JSON: the target's columns that the failed change carries, see OpenFailure
    Column("carries", Text, nullable=False),
)

parked_change = Table(
    "instep_parked_change",
    metadata,
    Column("worker_group", String(200), primary_key=True),
    Column("mapping", String(200), primary_key=True),
    Column("topic", String(250), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    # a topic that was deleted and made anew has other messages at the same positions
    Column("timestamp_ms", BigInteger, primary_key=True),
    Column("record_hash", String(64), nullable=False),
    Column("record_id", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    # in which order they were parked
    Column("number", BigInteger, nullable=False),
)

parked_by_record = Index(
    "instep_parked_by_record",
    parked_change.c.worker_group,
    parked_change.c.mapping,
    parked_change.c.record_hash,
    parked_change.c.number,
)
