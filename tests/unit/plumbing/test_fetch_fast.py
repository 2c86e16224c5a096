"""The fast reader of record batches gives exactly what the client's own gives."""

import socket
import ssl
import struct
from typing import Any

import kafka
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher, IsolationLevel
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer.fetch import FetchResponse
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition

from plumbing import fetch_fast

TP = TopicPartition("customers", 3)
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
CONTROL, LOG_APPEND_TIME = 0x20, 0x08
Record = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
PLAIN: list[Record] = [
    (1000, b"k1", b"v" * 300, [("a", b"1"), ("b", None)]),
    (900, None, b"", []),
    (5_000_000_000, b"", None, [("ü", b"")]),
]

texts = st.text(max_size=8)
maybe_bytes = st.none() | st.binary(max_size=200)
records = st.tuples(
    st.integers(0, 2**41), maybe_bytes, maybe_bytes, st.lists(st.tuples(texts, maybe_bytes), max_size=3)
)


def batch(
    rows: list[Record],
    *,
    base: int = 0,
    codec: int = NONE,
    producer: int = -1,
    transactional: bool = False,
    flags: int = 0,
) -> bytes:
    builder = DefaultRecordBatchBuilder(
        2, codec, transactional, producer, 0, 0 if producer >= 0 else -1, 1 << 24
    )
    for offset, (timestamp, key, value, headers) in enumerate(rows):
        builder.append(offset, timestamp, key, value, headers)
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    struct.pack_into(">i", data, 12, 5)  # the leader epoch, which the broker writes
    attributes = struct.unpack_from(">h", data, DefaultRecordBatch.ATTRIBUTES_OFFSET)[0] | flags
    struct.pack_into(">h", data, DefaultRecordBatch.ATTRIBUTES_OFFSET, attributes)
    return sealed(data)


def sealed(data: bytearray) -> bytes:
    crc = calc_crc32c(memoryview(data)[DefaultRecordBatch.ATTRIBUTES_OFFSET :])
    struct.pack_into(">I", data, DefaultRecordBatch.CRC_OFFSET, crc)
    return bytes(data)


def abort_marker(base: int, producer: int) -> bytes:
    rows: list[Record] = [(1, struct.pack(">hh", 0, 0), struct.pack(">hi", 0, 0), [])]
    return batch(rows, base=base, producer=producer, transactional=True, flags=CONTROL)


def read(reader: Any, data: bytes, **options: Any) -> Any:
    """Return all that a reader gives, piece by piece, with what it knows afterwards."""
    part = reader(options.pop("start", 0), TP, MemoryRecords(data), **options)
    seen, states = [], []
    while part:
        try:
            taken = part.take(2)
        except CorruptRecordError:
            seen.append("corrupt")
            break
        seen += taken
        states.append((part.next_fetch_offset, part.records_read, part.bytes_read, part.leader_epoch))
    return seen, states


def both(data: bytes, **options: Any) -> Any:
    theirs = read(Fetcher.PartitionRecords, data, **options)
    ours = read(fetch_fast._PartitionRecords, data, **options)
    assert ours == theirs
    return ours[0]


@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
def test_every_compression_reads_the_same(codec: int) -> None:
    data = batch(PLAIN * 50, codec=codec) + batch(PLAIN, base=150, codec=codec)
    assert len(both(data)) == 153


@given(st.lists(records, min_size=1, max_size=20), st.integers(0, 2**40))
def test_any_record_reads_the_same(rows: list[Record], base: int) -> None:
    assert len(both(batch(rows, base=base), start=base)) == len(rows)


def test_records_before_the_asked_offset_are_skipped_the_same() -> None:
    assert [record.offset for record in both(batch(PLAIN * 4), start=7)] == [7, 8, 9, 10, 11]


def test_the_brokers_time_wins_where_the_topic_says_so() -> None:
    times = {record.timestamp for record in both(batch(PLAIN, flags=LOG_APPEND_TIME))}
    assert times == {5_000_000_000}


def test_control_batches_are_passed_over_the_same() -> None:
    data = batch(PLAIN, producer=7, transactional=True) + abort_marker(3, 7) + batch(PLAIN, base=4)
    assert len(both(data)) == 6


def test_aborted_transactions_are_left_out_the_same() -> None:
    aborted = [
        FetchResponse.FetchableTopicResponse.PartitionData.AbortedTransaction(producer_id=7, first_offset=0)
    ]
    data = (
        batch(PLAIN, producer=7, transactional=True)
        + abort_marker(3, 7)
        + batch(PLAIN, base=4, producer=7, transactional=True)
    )
    seen = both(data, isolation_level=IsolationLevel.READ_COMMITTED, aborted_transactions=aborted)
    assert [record.offset for record in seen] == [4, 5, 6]


@pytest.mark.parametrize("magic", [0, 1])
def test_formats_of_old_logs_read_the_same(magic: int) -> None:
    builder = LegacyRecordBatchBuilder(magic, 0, 1 << 20)
    for offset in range(3):
        builder.append(offset, 1000, b"k", b"v" if offset else None)
    assert len(both(bytes(builder.build()))) == 3


def test_a_wrong_checksum_is_refused_the_same() -> None:
    data = bytearray(batch(PLAIN))
    data[-1] ^= 1
    assert both(bytes(data)) == ["corrupt"]


@given(st.binary(min_size=1, max_size=60), st.integers(0, 300))
@example(b"\x80", 2)  # attributes, which the client reads as a number of any length
def test_a_broken_record_never_reads_as_another(noise: bytes, where: int) -> None:
    data = bytearray(batch(PLAIN))
    at = min(61 + where, len(data) - len(noise))
    data[at : at + len(noise)] = noise
    theirs, _ = read(Fetcher.PartitionRecords, sealed(data))
    ours, _ = read(fetch_fast._PartitionRecords, sealed(data))
    assert ours == theirs


def test_equal_headers_are_not_one_list() -> None:
    first, second = both(batch([PLAIN[0]] * 2))
    first.headers.append(("mine", b""))
    assert second.headers == PLAIN[0][3]


def test_deserializers_are_left_to_the_client() -> None:
    class Upper:
        def deserialize(self, topic: str, headers: object, data: bytes | None) -> bytes | None:
            return data and data.upper()

    assert both(batch(PLAIN), value_deserializer=Upper())[0].value == b"V" * 300


def test_another_version_of_the_client_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "__version__", "3.0.13")
    assert fetch_fast.read_faster(object()) is False


def test_a_closed_connection_is_told_and_what_came_before_is_kept() -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    with here:
        assert fetch_fast._receive(here) == (b"", None)
        there.send(b"abc")
        there.close()
        assert fetch_fast._receive(here) == (b"abc", None)
        assert isinstance(fetch_fast._receive(here)[1], kafka.errors.KafkaConnectionError)


def test_tls_is_read_until_it_is_empty() -> None:
    class Sock(ssl.SSLSocket):
        pieces: list[bytes]

        def recv(self, *_: object) -> bytes:
            if not self.pieces:
                raise ssl.SSLWantReadError
            return self.pieces.pop(0)

    sock = Sock.__new__(Sock)
    sock.pieces = [b"ab", b"cd"]
    assert fetch_fast._receive(sock) == (b"abcd", None)
