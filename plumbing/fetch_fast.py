"""A faster reader of Kafka's record batches, put in place of the client's own in one consumer.

The client spends most of a poll on reading varints and properties one call each. Here a record is read in one loop,
and equal header sections (Debezium sends the same ones with every record) are read once. Batches, checksums, compression,
control records and aborted transactions stay with the client's code. It reaches into private parts of the client: only
for the version it was written against, and `tests/unit/plumbing/test_fetch_fast.py` compares it with the client's own.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import kafka
from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord, Fetcher, IsolationLevel
from kafka.errors import CorruptRecordError, KafkaConnectionError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint
from kafka.structs import TopicPartition

WRITTEN_FOR = "3.0.12"
_HEADERS_KEPT = 1024
_RECEIVE_BYTES = 1 << 18
_new: Callable[..., Any] = tuple.__new__

Headers = tuple[list[tuple[str, bytes | None]], int]
_Message = tuple[bytes | None, bytes | None, int, int]


def read_faster(consumer: KafkaConsumer) -> bool:
    """Let `consumer` read batches with this module; False, and nothing changed, on another version of the client."""
    fetcher = getattr(consumer, "_fetcher", None)
    if kafka.__version__ != WRITTEN_FOR or not isinstance(fetcher, Fetcher):
        return False
    fetcher.PartitionRecords = _PartitionRecords
    build_transport = consumer._manager._build_transport  # noqa: SLF001  checked against WRITTEN_FOR

    async def build_reading_transport(*args: Any, **kwargs: Any) -> Any:
        transport = await build_transport(*args, **kwargs)
        transport._sock_recv = partial(_receive, transport._sock)  # noqa: SLF001  likewise
        return transport

    consumer._manager._build_transport = build_reading_transport  # noqa: SLF001  likewise
    return True


def _receive(sock: socket.socket) -> tuple[bytes, KafkaConnectionError | None]:
    """Return what can be read without waiting, and the error that ended it; the client asks for 4 KiB at a time.

    Each `recv` hands the interpreter to the other thread and may wait 5 ms to have it back: asked for 4 KiB at a time,
    next to nothing arrives while records are decoded.
    """
    pieces = []
    try:
        while data := sock.recv(_RECEIVE_BYTES):
            pieces.append(data)
            # TLS keeps a rest that no selector sees: that is read until it is empty.
            if not isinstance(sock, ssl.SSLSocket):
                return data, None
    except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return b"".join(pieces), None
    except OSError as error:
        return b"".join(pieces), KafkaConnectionError(error)
    return b"".join(pieces), KafkaConnectionError("socket disconnected")


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # the client has no types
    """The client's partition records with another loop over the records of a batch."""

    def _unpack_records(
        self, tp: TopicPartition, records: Any, *deserializers: Any
    ) -> Iterator[ConsumerRecord]:
        if any(deserializers):
            yield from super()._unpack_records(tp, records, *deserializers)
            return
        headers_seen: dict[bytes, Headers] = {}
        batch = last_batch = records.next_batch()
        while batch is not None:
            last_batch = batch
            if self.check_crcs and not batch.validate_crc():
                where = f"partition {tp} at offset {batch.base_offset}"
                raise CorruptRecordError(f"Record batch for {where} failed crc check")
            if self._is_for_nobody(batch):
                self.next_fetch_offset = batch.next_offset
            elif batch.magic == 2:
                yield from self._records_of(batch, tp, headers_seen)
            else:
                yield from self._legacy_records_of(batch, tp)
            batch = records.next_batch()
        # The last offset of a batch is kept when compaction removes its last record: go on behind the batch.
        if last_batch and last_batch.magic == 2:
            self.next_fetch_offset = last_batch.next_offset
        self.drain()

    def _is_for_nobody(self, batch: Any) -> bool:
        """Whether a batch is of an aborted transaction or a control batch; keeps account of aborted producers."""
        if batch.magic != 2:
            return False
        self.leader_epoch = batch.leader_epoch
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _records_of(
        self, batch: DefaultRecordBatch, tp: TopicPartition, headers_seen: dict[bytes, Headers]
    ) -> Iterator[ConsumerRecord]:
        """Yield the records of a batch of format 2."""
        batch._maybe_uncompress()  # noqa: SLF001  checked against WRITTEN_FOR
        data, end = bytes(batch._buffer), batch._pos  # noqa: SLF001  likewise
        place, base_offset, first_timestamp = (
            (*tp, self.leader_epoch),
            batch.base_offset,
            batch.first_timestamp,
        )
        kind = batch.timestamp_type
        appended_at = batch.max_timestamp if kind == batch.LOG_APPEND_TIME else None
        for _ in range(batch.records_count):
            length, end, timestamp_delta, offset_delta, message, section = _read_record(data, end)
            headers, headers_size = headers_seen.get(section) or _remember_headers(headers_seen, section)
            timestamp = first_timestamp + timestamp_delta if appended_at is None else appended_at
            offset = base_offset + offset_delta
            self.records_read += 1
            self.bytes_read += length
            self.next_fetch_offset = offset + 1
            key, value, key_size, value_size = message
            sizes = (key_size, value_size, headers_size)
            fields = (*place, offset, timestamp, kind, key, value, headers[:], None, *sizes)
            yield _new(ConsumerRecord, fields)
        if end != len(data):
            raise CorruptRecordError(f"{len(data) - end} unconsumed bytes after all records consumed")

    def _legacy_records_of(self, batch: Any, tp: TopicPartition) -> Iterator[ConsumerRecord]:
        """Yield the records of a batch of format 0 or 1, which logs from before Kafka 0.11 may still hold."""
        for record in batch:
            if self.check_crcs and not record.validate_crc():
                raise CorruptRecordError(
                    f"Record for partition {tp} at offset {record.offset} failed crc check"
                )
            key, value = record.key, record.value
            self.records_read += 1
            self.bytes_read += record.size_in_bytes
            self.next_fetch_offset = record.offset + 1
            key_size, value_size = -1 if key is None else len(key), -1 if value is None else len(value)
            when = (record.offset, record.timestamp, record.timestamp_type)
            yield ConsumerRecord(
                *tp,
                self.leader_epoch,
                *when,
                key,
                value,
                record.headers,
                record.checksum,
                key_size,
                value_size,
                -1,
            )


def _read_record(data: bytes, pos: int) -> tuple[int, int, int, int, _Message, bytes]:
    """Return length, end, time and offset since the batch's first, key and value with their sizes, the bytes of the headers."""
    try:
        length, start = _read_number(data, pos)
        _attributes, pos = _read_number(data, start)
        timestamp_delta, pos = _read_number(data, pos)
        offset_delta, pos = _read_number(data, pos)
        key_size, pos = _read_number(data, pos)
        key_end = pos + key_size if key_size >= 0 else pos
        value_size, value_start = _read_number(data, key_end)
    except (ValueError, IndexError) as error:
        raise CorruptRecordError(f"Found invalid record structure: {error!r}") from error
    end = start + length
    value_end = value_start + value_size if value_size >= 0 else value_start
    if end > len(data):
        raise CorruptRecordError("Found invalid record structure: a record ends behind its batch")
    key = data[pos:key_end] if key_size >= 0 else None
    value = data[value_start:value_end] if value_size >= 0 else None
    return length, end, timestamp_delta, offset_delta, (key, value, key_size, value_size), data[value_end:end]


def _read_number(data: bytes, pos: int) -> tuple[int, int]:
    """Read a varint; most have one byte or two."""
    low = data[pos]
    if low < 0x80:
        return low >> 1 ^ -(low & 1), pos + 1
    high = data[pos + 1]
    if high < 0x80:
        number = low & 0x7F | high << 7
        return number >> 1 ^ -(number & 1), pos + 2
    return decode_varint(data, pos)  # type: ignore[no-any-return]  # the client has no types


def _remember_headers(seen: dict[bytes, Headers], section: bytes) -> Headers:
    if len(seen) >= _HEADERS_KEPT:
        seen.clear()
    try:
        seen[section] = found = _read_headers(section)
    except (ValueError, IndexError) as error:
        raise CorruptRecordError(f"Found invalid record headers: {error!r}") from error
    return found


def _read_headers(section: bytes) -> Headers:
    count, pos = decode_varint(section, 0)
    if count < 0:
        raise CorruptRecordError(f"Found invalid number of record headers {count}")
    headers: list[tuple[str, bytes | None]] = []
    total = 0
    for _ in range(count):
        size, pos = decode_varint(section, pos)
        if size < 0:
            raise CorruptRecordError(f"Invalid negative header key size {size}")
        # a name that is no UTF-8, which Kafka does not forbid, must not keep us from what stands behind it
        name = section[pos : pos + size].decode(errors="backslashreplace")
        pos += size
        total += size
        size, pos = decode_varint(section, pos)
        if size >= 0:
            headers.append((name, section[pos : pos + size]))
            pos += size
            total += size
        else:
            headers.append((name, None))
    if pos != len(section):
        raise CorruptRecordError(f"Invalid record size: headers of {pos} bytes in {len(section)}")
    return headers, total if headers else -1
