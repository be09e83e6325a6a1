"""Records of one partition as columns: what a fetch holds, without an object for each record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from stream.events.records import LogRecord, Record

Headers = Mapping[int, Sequence[tuple[str, bytes]]]


class Block(Sequence[LogRecord]):
    """A sequence of records, each of which is made only when it is asked for; a slice shares the bytes.

    `offset` and `timestamp` are int64 columns of length n, `key` and `value` (n, 2): the first byte in `data`
    and the one after the last, both -1 for null. `headers` are those of records that have any, by offset.
    """

    __slots__ = ("data", "headers", "key", "offset", "timestamp", "value")

    def __init__(
        self,
        data: bytes,
        offset: NDArray[np.int64],
        timestamp: NDArray[np.int64],
        key: NDArray[np.int64],
        value: NDArray[np.int64],
        headers: Headers,
    ) -> None:
        self.data = data
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers

    @classmethod
    def of(cls, records: Sequence[Record]) -> Block:
        """Records that lie elsewhere, copied; what is a block stays as it is. About .4 µs each."""
        if isinstance(records, Block):
            return records
        texts = [*[record.key for record in records], *[record.value for record in records]]
        lengths = np.array([-1 if text is None else len(text) for text in texts], np.int64)
        spans = np.empty((len(texts), 2), np.int64)
        spans[:, 1] = np.cumsum(np.maximum(lengths, 0))
        spans[:, 0] = spans[:, 1] - lengths
        spans[lengths < 0] = -1
        key, value = spans.reshape(2, -1, 2)
        offsets = np.array([record.offset for record in records], np.int64)
        headers = {record.offset: record.headers for record in records if record.headers}
        timestamps = np.array([record.timestamp for record in records], np.int64)
        data = b"".join([text for text in texts if text is not None])
        return cls(data, offsets, timestamps, key, value, headers)

    @classmethod
    def chained(cls, blocks: Sequence[Block]) -> Block:
        """The records of all, in order."""
        if len(blocks) == 1:
            return blocks[0]
        blocks = [block.trimmed() for block in blocks]
        starts = np.cumsum([0, *(len(block.data) for block in blocks)])
        moved = [
            np.stack([block.key, block.value]) + np.where(np.stack([block.key, block.value]) < 0, 0, start)
            for block, start in zip(blocks, starts, strict=False)
        ]
        key, value = np.concatenate(moved, axis=1)
        headers: dict[int, Any] = {}
        for block in blocks:
            headers.update(block.headers)
        return cls(
            b"".join(block.data for block in blocks),
            np.concatenate([block.offset for block in blocks]),
            np.concatenate([block.timestamp for block in blocks]),
            key,
            value,
            headers,
        )

    def trimmed(self) -> Block:
        """The same records, without what lies before and after them."""
        spans = np.stack([self.key, self.value])
        first, last = int(spans.min(where=spans >= 0, initial=len(self.data))), int(spans.max(initial=0))
        if first == 0 and last == len(self.data):
            return self
        key, value = np.where(spans < 0, -1, spans - first)
        return Block(self.data[first:last], self.offset, self.timestamp, key, value, self.headers)

    def since(self, offset: int) -> Block:
        """Those at and above `offset`."""
        return self[int(np.searchsorted(self.offset, offset)) :]

    def until(self, offset: int) -> Block:
        """Those below `offset`."""
        return self[: int(np.searchsorted(self.offset, offset))]

    def __len__(self) -> int:
        return len(self.offset)

    @overload
    def __getitem__(self, at: int) -> LogRecord: ...
    @overload
    def __getitem__(self, at: slice) -> Block: ...
    def __getitem__(self, at: int | slice) -> LogRecord | Block:
        if isinstance(at, slice):
            return Block(
                self.data, self.offset[at], self.timestamp[at], self.key[at], self.value[at], self.headers
            )
        offset = int(self.offset[at])
        key, value = (self._text(*span[at].tolist()) for span in (self.key, self.value))
        return LogRecord(offset, int(self.timestamp[at]), key, value, self.headers.get(offset, ()))

    def __iter__(self) -> Iterator[LogRecord]:
        headers, text = self.headers, self._text
        columns = (self.offset, self.timestamp, self.key, self.value)
        for offset, timestamp, key, value in zip(*(column.tolist() for column in columns), strict=True):
            yield LogRecord(offset, timestamp, text(*key), text(*value), headers.get(offset, ()))

    def _text(self, start: int, stop: int) -> bytes | None:
        return self.data[start:stop] if start >= 0 else None

    def __repr__(self) -> str:
        return f"Block({list(self)!r})"


def timestamps(records: Sequence[Any]) -> NDArray[np.int64]:
    """The broker's times of all, epoch ms."""
    if isinstance(records, Block):
        return records.timestamp
    return np.array([record.timestamp for record in records], np.int64)


def since(records: Sequence[Any], offset: int) -> Sequence[Any]:
    """Those at and above `offset`."""
    if isinstance(records, Block):
        return records.since(offset)
    return [record for record in records if record.offset >= offset]


def until(records: Sequence[Any], offset: int) -> Sequence[Any]:
    """Those below `offset`."""
    if isinstance(records, Block):
        return records.until(offset)
    return [record for record in records if record.offset < offset]


def chained(many: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """The records of all, in order."""
    if all(isinstance(records, Block) for records in many):
        return Block.chained([Block.of(records) for records in many])
    return [record for records in many for record in records]
