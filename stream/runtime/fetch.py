"""Fetches as blocks: aiokafka's consumer hands out columns, where it makes an object for each record.

Only how a fetch is unpacked is replaced, and only in the consumers that ask for it; what the fetcher does
with it is its own. Private parts of aiokafka 0.14: `tests/unit/test_fetch.py` holds them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from types import FunctionType, MethodType
from typing import Any

from aiokafka import AIOKafkaConsumer, codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from stream.events.block import Block
from stream.runtime.record_batch import BATCH_HEADER, FROM_CRC, FROM_LENGTH, Body, unpack_records

_CODEC, _LOG_APPEND_TIME, _CONTROL = 7, 8, 32
_LENGTH, _MAGIC = struct.calcsize(">q"), struct.calcsize(">qii")
_DECOMPRESS = {
    1: (codec.has_gzip, codec.gzip_decode),
    2: (codec.has_snappy, codec.snappy_decode),
    3: (codec.has_lz4, codec.lz4_decode),
    4: (codec.has_zstd, codec.zstd_decode),
}


def read_in_blocks(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer that was started, and has no partitions yet, hand out a `Block` for each partition."""
    its = consumer._fetcher
    for name in ("_proc_fetch_request", "fetched_records"):
        setattr(its, name, MethodType(_with_ours(getattr(fetcher.Fetcher, name)), its))


def _with_ours(function: Any) -> FunctionType:
    """A function of the fetcher that makes our results where it would make its own."""
    names = {"MemoryRecords": _Fetch, "PartitionRecords": _Records, "FetchResult": _Result}
    names = {**function.__globals__, **names}
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)


class _Fetch:
    """A fetch of one partition as it came."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def size_in_bytes(self) -> int:
        return len(self.data)

    def has_next(self) -> bool:
        """Whether there is a whole batch."""
        return next(_batches(self.data), None) is not None


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]
    """As the original, which does what is rare, but taken many at a time."""

    def __init__(self, tp: Any, fetch: _Fetch, *args: Any) -> None:
        self.next_fetch_offset: int
        super().__init__(tp, MemoryRecords(fetch.data), *args)
        self._data = fetch.data
        self._block: Block | None = None
        self._end = 0

    def take(self, most: int | None) -> tuple[Sequence[Any], bool]:
        """Up to `most` of the records that follow, and whether these were the last."""
        if self._data:
            found = None if self._aborted_transactions else unpacked(self._data, self._check_crcs)
            self._data = b""
            if found is not None:
                self._block, self._end = found[0].since(self.next_fetch_offset), found[1]
        if self._block is None:
            records = list(islice(self, most))
            return records, most is None or len(records) < most
        taken, self._block = self._block[:most], self._block[most:] if most else self._block[:0]
        is_last = not len(self._block)
        # Markers and what compaction has removed have offsets as well.
        self.next_fetch_offset = self._end if is_last else int(taken.offset[-1]) + 1
        return taken, is_last


class _Result(fetcher.FetchResult):  # type: ignore[misc]
    """As the original, whose lists are blocks here."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> Sequence[Any]:
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        taken, is_last = self._partition_records.take(max_records)
        self._update_position()
        if is_last:
            self._partition_records = None
        return taken  # type: ignore[no-any-return]


def unpacked(data: bytes, check_crcs: bool = True) -> tuple[Block, int] | None:
    """The records in a fetch of one partition, and the offset after it; about .1 µs a record.

    None for what is left to aiokafka: formats before 2, and codecs that are not installed. Raises
    `CorruptRecordException`.
    """
    bodies, parts, size, end = list[Body](), [data], len(data), 0
    for start, stop in _batches(data):
        if data[start + _MAGIC] < 2:
            return None
        base, _, _, _, crc, attributes, last, first_ms, max_ms, *_, count = BATCH_HEADER.unpack_from(
            data, start
        )
        if check_crcs and calc_crc32c(memoryview(data)[start + FROM_CRC : stop]) != crc:
            raise CorruptRecordException(f"the checksum of the batch at offset {base} is wrong")
        end = base + last + 1
        if attributes & _CONTROL:
            continue
        start += BATCH_HEADER.size
        if attributes & _CODEC:
            is_there, decompress = _DECOMPRESS.get(attributes & _CODEC, (bool, None))
            if decompress is None or not is_there():
                return None
            parts.append(bytes(decompress(data[start:stop])))
            start, stop = size, size + len(parts[-1])
            size = stop
        append_ms = max_ms if attributes & _LOG_APPEND_TIME else -1
        bodies.append(Body(start, stop, count, base, first_ms, append_ms))
    block = unpack_records(b"".join(parts), bodies)
    if block is None:
        raise CorruptRecordException("a batch is cut short")
    return block, end


def _batches(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of every whole batch: a fetch may end in the middle of one."""
    at = 0
    while at + _MAGIC < len(data):
        stop = at + FROM_LENGTH + struct.unpack_from(">i", data, at + _LENGTH)[0]
        if not at + _MAGIC < stop <= len(data):
            return
        yield at, stop
        at = stop
