"""Only read a topic with kafka-python, noting the positions of each poll in the database, so that it is timed like the sink.

`python -m benchmarks.read_only --bootstrap HOST:PORT --topic T --group G --url SQLALCHEMY_URL`, until SIGTERM.
"""

import argparse
import signal

import psycopg
from kafka import KafkaConsumer

from benchmarks.bare import BATCH
from benchmarks.stores import POSITIONS


def main() -> None:
    """Read until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "topic", "group", "url"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    connection = psycopg.connect(args.url.replace("postgresql+psycopg", "postgresql"), autocommit=True)
    connection.execute(f"create table {POSITIONS} (partition integer primary key, position bigint)".encode())
    note = f"insert into {POSITIONS} values (%s, %s) on conflict (partition) do update set position = excluded.position".encode()
    consumer = KafkaConsumer(
        args.topic,
        bootstrap_servers=args.bootstrap,
        group_id=args.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
    )
    while not stopped:
        for place, records in consumer.poll(500).items():
            connection.execute(note, (place.partition, records[-1].offset + 1))
    consumer.close()


if __name__ == "__main__":
    main()
