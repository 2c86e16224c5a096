"""The tables of the sink's store. Times are microseconds since 1970 in UTC (`…_us`), the same on every database."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

VERSION_TABLE = "instep_sink_version"
CLOSED_STATES = "state IN ('resolved', 'discarded')"
RELEVANT_STATES = "state NOT IN ('resolved', 'discarded')"
# entries of an older grouping; a new GROUPING_VERSION makes this index anew in a migration
UNGROUPED = "group_version < 1"

metadata = MetaData()


def _where(condition: str) -> dict[str, Any]:
    """Options of an index over those rows alone that meet the condition."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


entry = Table(
    "instep_entry",
    metadata,
    # first 16 hex digits of sha256(message key)
    Column("id", Text, primary_key=True),
    # the message key as text: JSON of mapping, direction and record, exact where the columns below are cleaned
    Column("key", Text, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("row_version", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("category", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("failure_id", Text, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    # the last ten failures: JSON of [failure_id, at_ms, code or null]
    Column("attempts", Text, nullable=False),
    Column("first_failed_us", BigInteger, nullable=False),
    Column("last_failed_us", BigInteger, nullable=False),
    Column("retry_at_us", BigInteger),
    Column("waits_for", Text),
    Column("source_app", Text, nullable=False),
    Column("source_entity", Text, nullable=False),
    Column("source_link", Text),
    Column("source_topic", Text),
    Column("source_partition", Integer),
    Column("source_offset", BigInteger),
    Column("source_timestamp_ms", BigInteger),
    Column("target_app", Text, nullable=False),
    Column("target_entity", Text, nullable=False),
    Column("target_record_id", Text, nullable=False),
    Column("target_link", Text),
    Column("exception_type", Text),
    Column("top_frame", Text),
    Column("trace", Text),
    Column("worker", Text, nullable=False),
    Column("worker_version", Text, nullable=False),
    Column("replay_topic", Text, nullable=False),
    Column("payload_id", Text),
    # the replay that is under way, or whose verdict did not come in time
    Column("replay_id", Text),
    Column("resolved_by", Text),
    Column("outcome", Text),
    Column("closed_us", BigInteger),
    Column("closed_by", Text),
    Column("reason", Text),
    # from when the retention counts: the moment of closing, or of restoring
    Column("ages_from_us", BigInteger),
    # the group of the failure it shows, by the grouping of this version; an older one is done again in the background
    Column("group_id", Text, nullable=False),
    Column("group_version", Integer, nullable=False),
    # how many replays in a row failed
    Column("failed_replays", Integer, nullable=False),
    # "instep", or the kind of dead letter topic that it was read from
    Column("origin", Text, nullable=False),
)

Index("instep_entry_by_time", entry.c.last_failed_us, entry.c.id)
Index(
    "instep_entry_by_record_id",
    entry.c.record_id,
    entry.c.mapping,
    # for what begins with a text, too
    postgresql_ops={"record_id": "text_pattern_ops", "mapping": "text_ops"},
)
Index("instep_entry_by_group", entry.c.group_id, entry.c.state, entry.c.last_failed_us, entry.c.id)
Index("instep_entry_relevant_by_time", entry.c.last_failed_us, entry.c.id, **_where(RELEVANT_STATES))
Index("instep_entry_oldest", entry.c.mapping, entry.c.first_failed_us, **_where(RELEVANT_STATES))
Index("instep_entry_ungrouped", entry.c.id, **_where(UNGROUPED))
Index("instep_entry_waiting", entry.c.retry_at_us, **_where("state = 'waiting'"))
Index("instep_entry_closed", entry.c.ages_from_us, entry.c.id, **_where(CLOSED_STATES))
Index("instep_entry_by_payload", entry.c.payload_id)

payload = Table(
    "instep_payload",
    metadata,
    # sha256 of key, value and headers: the same message is kept once
    Column("id", Text, primary_key=True),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", Text, nullable=False),
    # to within an hour, when a failure last brought it; young ones are never removed
    Column("touched_us", BigInteger, nullable=False),
)

group = Table(
    "instep_group",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("code", Text, nullable=False),
    # a message of the group, without what differs from record to record
    Column("message", Text, nullable=False),
    Column("row_version", BigInteger, nullable=False),
    Column("first_seen_us", BigInteger, nullable=False),
    Column("last_seen_us", BigInteger, nullable=False),
    # set while all of its entries are closed; a failure after that makes the group regressed
    Column("resolved_us", BigInteger),
    Column("regressed_us", BigInteger),
    Column("muted_until_us", BigInteger),
    # muted until it has more relevant entries than this
    Column("muted_up_to", BigInteger),
    Column("muted_by", Text),
)
Index("instep_group_by_time", group.c.last_seen_us, group.c.id)

# How many entries there are, counted by the database itself. On PostgreSQL triggers note each change, and a chore adds the
# notes up; on SQLite, where one writes at a time, they count at once.
tally = Table(
    "instep_tally",
    metadata,
    Column("mapping", Text, primary_key=True),
    Column("category", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("group_id", Text, primary_key=True),
    Column("entries", BigInteger, nullable=False),
)
Index("instep_tally_by_group", tally.c.group_id)
tally_change = Table(
    "instep_tally_change",
    metadata,
    Column("id", Integer().with_variant(BigInteger, "postgresql"), primary_key=True),
    Column("mapping", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),
)

# failures and resolutions by quarter of an hour, for the picture of the last day; `source` is the partition of the error
# topic, which one sink reads at a time: nobody waits for a row of another
rate = Table(
    "instep_rate",
    metadata,
    Column("slot_us", BigInteger, primary_key=True),
    Column("mapping", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("failed", BigInteger, nullable=False),
    Column("resolved", BigInteger, nullable=False),
)
# failures of a group by the hour
group_rate = Table(
    "instep_group_rate",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("slot_us", BigInteger, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("failed", BigInteger, nullable=False),
)
# what the workers had counted at the end of each quarter of an hour; a worker that starts again counts from 0
progress_slot = Table(
    "instep_progress_slot",
    metadata,
    Column("slot_us", BigInteger, primary_key=True),
    Column("worker", Text, primary_key=True),
    Column("mapping", Text, primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("started_us", BigInteger, primary_key=True),
    Column("counts", Text, nullable=False),
)

quarantine = Table(
    "instep_quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("newer", Boolean, nullable=False),
    Column("quarantined_us", BigInteger, nullable=False),
    # a topic that was deleted and created again has other messages at the same offsets
    UniqueConstraint("topic", "partition", "position", "timestamp_ms", name="instep_quarantine_once"),
)
# a key may be longer than what a tree of PostgreSQL takes
Index("instep_quarantine_by_key", quarantine.c.key, postgresql_using="hash")

ingest_position = Table(
    "instep_ingest_position",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    # the next offset to read; written only by whoever read from the offset that stands here
    Column("position", BigInteger, nullable=False),
    # the greatest offset ever ingested; what is not above it is known already
    Column("high_water", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    # a topic that was deleted and created again has the same name, and offsets that begin again
    Column("topic_id", Text),
)

worker_progress = Table(
    "instep_worker_progress",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("mapping", Text, primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("worker_group", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
    Column("lag_records", BigInteger),
    Column("paused_code", Text),
)

replay = Table(
    "instep_replay",
    metadata,
    Column("id", Text, primary_key=True),
    Column("entry_id", Text, nullable=False),
    Column("failure_id", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("scheduled", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("requested_us", BigInteger, nullable=False),
    # set by the sink that sends it; another one may try again when this is old
    Column("claimed_us", BigInteger),
    Column("sent_us", BigInteger),
    Column("verdict", Text),
    Column("verdict_us", BigInteger),
    Column("code", Text),
)
Index("instep_replay_pending", replay.c.requested_us, **_where("verdict IS NULL"))
Index(
    "instep_replay_unsent",
    replay.c.requested_us,
    **_where("verdict IS NULL AND sent_us IS NULL AND claimed_us IS NULL"),
)
Index("instep_replay_by_entry", replay.c.entry_id)
Index("instep_replay_settled", replay.c.verdict_us)

job = Table(
    "instep_replay_job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("via", Text, nullable=False),
    # what was selected, in words
    Column("what", Text, nullable=False),
    Column("decision", Text, nullable=False),
    # JSON of target field to corrected value; removed when the job ends
    Column("corrections", Text),
    # JSON of the names of the corrected fields
    Column("corrected_fields", Text),
    # null: as fast as possible
    Column("rate_per_s", Integer),
    Column("canaries", Integer, nullable=False),
    # a person named the entries one by one, parked ones too
    Column("named", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    # why it is stopped or waits
    Column("note", Text),
    Column("total", BigInteger, nullable=False),
    # how many of the items, in their order, were asked for or refused
    Column("handled", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    Column("row_version", BigInteger, nullable=False),
    # the sink that works on it, until when
    Column("leased_by", Text),
    Column("leased_until_us", BigInteger),
)
Index("instep_replay_job_by_time", job.c.created_us, job.c.id)
Index("instep_replay_job_unfinished", job.c.created_us, **_where("finished_us IS NULL"))
job_item = Table(
    "instep_replay_job_item",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("entry_id", Text, nullable=False),
    # of the replay that is asked for when it is its turn; null where there is none
    Column("replay_id", Text),
    # why it was not asked for, a name of Refusal
    Column("refusal", Text),
)
Index("instep_replay_job_item_by_replay", job_item.c.replay_id)
Index("instep_replay_job_item_by_entry", job_item.c.entry_id)

token = Table(
    "instep_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    # sha256 of the secret, which has 256 random bits
    Column("hash", Text, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("used_us", BigInteger),
)
session = Table(
    "instep_session",
    metadata,
    # sha256 of the cookie
    Column("hash", Text, primary_key=True),
    Column("token_id", Text, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    # this visit's start, and when the visit before ended
    Column("visit_us", BigInteger, nullable=False),
    Column("last_visit_us", BigInteger),
    Column("seen_us", BigInteger, nullable=False),
)
# an action that was done already under a key that its caller chose, and what was answered
idempotent_action = Table(
    "instep_idempotent_action",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    # null while it is under way
    Column("status", Integer),
    Column("answer", LargeBinary),
    Column("at_us", BigInteger, nullable=False),
)

audit = Table(
    "instep_audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
)
Index("instep_audit_by_time", audit.c.at_us)
