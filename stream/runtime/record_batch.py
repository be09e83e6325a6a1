"""Kafka's record batches, packed and unpacked by kernels, without a call of Python's for each record.

Packing 450 bytes takes about .8 µs, unpacking an event .1 µs.

Format version 2, not compressed: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c, decode_varint
from numpy.typing import NDArray

from stream.events.block import Block
from stream.state.hashing import partition_ids
from stream.state.jit import kernel, long_kernel
from stream.state.texts import Texts, put

# Base offset, length, leader's epoch, magic, CRC; attributes, last offset, first and last timestamp, the
# producer's id, epoch and sequence, count.
BATCH_HEADER = struct.Struct(">qiibIhiqqqhii")
FROM_LENGTH = struct.calcsize(">qi")
_CRC = struct.calcsize(">qiib")
FROM_CRC = struct.calcsize(">qiibI")
_ROOM = BATCH_HEADER.size

_VARINT_BYTES = 5
_RECORD_BYTES = 4 * _VARINT_BYTES + 3
"""Most of a record apart from key and value."""


class Packed(NamedTuple):
    """One batch for one partition: `records` records in `buffer`, room for the header before them."""

    partition: int
    records: int
    buffer: bytearray


class PackedBatch(BatchBuilder):  # type: ignore[misc]
    """What `AIOKafkaProducer.send_batch` takes, of records that are packed already."""

    def __init__(self, packed: Packed, timestamp_ms: int) -> None:
        # Not the original's: there is nothing to append to.
        self._closed = True
        self._relative_offset = packed.records
        self._buffer = packed.buffer
        self._timestamp_ms = timestamp_ms
        self._set_producer_state(-1, -1, -1)

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._state: tuple[int, int, int] | None = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        if self._state is not None:
            buffer, at_ms, count = self._buffer, self._timestamp_ms, self._relative_offset
            BATCH_HEADER.pack_into(
                buffer, 0, 0, len(buffer) - FROM_LENGTH, -1, 2, 0, 0, count - 1, at_ms, at_ms,
                *self._state, count,
            )  # fmt: skip
            struct.pack_into(">I", buffer, _CRC, calc_crc32c(memoryview(buffer)[FROM_CRC:]))
            self._state = None
        return self._buffer


def pack_records(keys: Texts, values: Texts, partitions: int, most_bytes: int) -> list[Packed]:
    """Batches of up to `most_bytes` (or one record) for each partition, by murmur2 of the key, in order."""
    n = len(keys)
    places = partition_ids(keys, partitions)
    order = np.argsort(places, kind="stable")
    # Address space for as many headers as there may be; most of it is never touched.
    out = np.empty(len(keys.data) + len(values.data) + n * (_RECORD_BYTES + _ROOM), np.uint8)
    ends, counts = np.zeros((2, n), np.int64)
    made = _pack(
        keys.array, keys.ends, values.array, values.ends, places, order, most_bytes, out, ends, counts
    )
    batches, start, first = [], 0, 0
    for end, count in zip(ends[:made].tolist(), counts[:made].tolist(), strict=True):
        batches.append(Packed(int(places[order[first]]), count, bytearray(out[start:end])))
        start, first = end, first + count
    return batches


@kernel
def _varint_bytes(number: int) -> int:
    size, number = 1, number >> 6
    while number:
        size += 1
        number >>= 7
    return size


@kernel
def _put_varint(out: NDArray[np.uint8], at: int, number: int) -> int:
    """A number that is not negative, zigzag-encoded."""
    number <<= 1
    while number > 0x7F:
        out[at] = 0x80 | number & 0x7F
        at += 1
        number >>= 7
    out[at] = number
    return at + 1


@long_kernel
def _pack(
    keys: NDArray[np.uint8],
    key_ends: NDArray[np.int64],
    values: NDArray[np.uint8],
    value_ends: NDArray[np.int64],
    places: NDArray[np.int64],
    order: NDArray[np.int64],
    most_bytes: int,
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    at = begin = batch = 0
    for n in range(len(order)):
        k = order[n]
        key_at = key_ends[k - 1] if k else 0
        value_at = value_ends[k - 1] if k else 0
        key_bytes, value_bytes = key_ends[k] - key_at, value_ends[k] - value_at
        moved = n > 0 and places[k] != places[order[n - 1]]
        if moved or (n > 0 and at - begin + key_bytes + value_bytes + _RECORD_BYTES > most_bytes):
            ends[batch] = begin = at
            batch += 1
        if at == begin:
            at += _ROOM
        size = (
            3 + _varint_bytes(counts[batch]) + _varint_bytes(key_bytes) + key_bytes
            + _varint_bytes(value_bytes) + value_bytes
        )  # fmt: skip
        at = _put_varint(out, at, size)
        out[at] = out[at + 1] = 0  # attributes, and the time since the batch's
        at = _put_varint(out, at + 2, counts[batch])
        at = put(out, _put_varint(out, at, key_bytes), keys, key_at, key_ends[k])
        at = put(out, _put_varint(out, at, value_bytes), values, value_at, value_ends[k])
        out[at] = 0  # headers
        at += 1
        counts[batch] += 1
    ends[batch] = at
    return batch + 1


class Body(NamedTuple):
    """The records of one batch: from where to where they lie, how many, what their offsets and times count
    from, and the time that all of them have instead, if the broker has set it (else -1)."""

    start: int
    stop: int
    records: int
    base_offset: int
    base_ms: int
    append_ms: int


def unpack_records(data: bytes, bodies: Sequence[Body]) -> Block | None:
    """The records of all bodies in `data`; None if they are not all there."""
    plan = np.array(bodies, np.int64).reshape(-1, len(Body._fields))
    n = int(plan[:, 2].sum())
    places, spans = np.empty((3, n), np.int64), np.empty((2, n, 2), np.int64)
    if _unpack(np.frombuffer(data, np.uint8), plan, places, spans) < n:
        return None
    offset, timestamp, header_at = places
    headers = {}
    for k in np.flatnonzero(np.frombuffer(data, np.uint8)[header_at]).tolist():
        headers[int(offset[k])] = _headers(data, int(header_at[k]))
    return Block(data, offset, timestamp, spans[0], spans[1], headers)


def _headers(data: bytes, at: int) -> list[tuple[str, bytes]]:
    count, at = decode_varint(data, at)
    headers = []
    for _ in range(count):
        size, at = decode_varint(data, at)
        name, at = data[at : at + size].decode(), at + size
        size, at = decode_varint(data, at)
        # As aiokafka has it, a header without a value has None.
        value: Any = data[at : at + size] if size >= 0 else None
        headers.append((name, value))
        at += max(size, 0)
    return headers


@kernel
def _varint(data: NDArray[np.uint8], at: int, stop: int) -> tuple[int, int]:
    """The zigzag-encoded number at `at`, and the place after it, beyond `stop` where it is cut short."""
    raw, shift = np.uint64(0), np.uint64(0)
    while at < stop:
        byte = np.uint64(data[at])
        at += 1
        raw |= (byte & np.uint64(0x7F)) << shift
        if byte < np.uint64(0x80):
            sign = np.int64(raw & np.uint64(1))
            return np.int64(raw >> np.uint64(1)) ^ -sign, at  # type: ignore[return-value]
        shift += np.uint64(7)
    return 0, stop + 1


@long_kernel
def _unpack(
    data: NDArray[np.uint8], plan: NDArray[np.int64], places: NDArray[np.int64], spans: NDArray[np.int64]
) -> int:
    """Offsets, times and places of the headers, spans of keys and values; how many records were whole."""
    n = 0
    for b in range(len(plan)):
        at, end, count, base_offset, base_ms, append_ms = plan[b]
        for _ in range(count):
            size, at = _varint(data, at, end)
            stop = at + size
            if size < 0 or stop > end:
                return n
            delta_ms, at = _varint(data, at + 1, stop)
            delta, at = _varint(data, at, stop)
            places[0, n] = base_offset + delta
            places[1, n] = append_ms if append_ms >= 0 else base_ms + delta_ms
            for k in range(2):
                length, at = _varint(data, at, stop)
                spans[k, n, 0] = at if length >= 0 else -1
                at += max(length, 0)
                spans[k, n, 1] = at if length >= 0 else -1
            if at >= stop:
                return n
            places[2, n] = at
            at = stop
            n += 1
    return n
