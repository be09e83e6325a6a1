"""Fetches as blocks hold what aiokafka's own records would."""

from __future__ import annotations

import inspect
import struct
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from stream.events.block import Block
from stream.events.records import LogRecord
from stream.runtime.fetch import _Fetch, _Records, _with_ours, read_in_blocks, unpacked
from stream.runtime.record_batch import FROM_CRC

TP0 = TopicPartition("events", 0)

# Of each function that is used with other classes, or overridden: first digits of its source's SHA-256.
SEAM = {
    Fetcher._proc_fetch_request: "59bf948fff47",
    Fetcher.fetched_records: "be4348896b9b",
    FetchResult: "d7db13f06de8",
    PartitionRecords: "94aa0da0dbec",
}

texts = st.one_of(st.none(), st.binary(max_size=40), st.just(b"x" * 200))
headers = st.lists(st.tuples(st.text(max_size=3), st.one_of(st.none(), st.binary(max_size=3))), max_size=2)
records = st.lists(
    st.tuples(texts, texts, st.one_of(st.just([]), headers), st.integers(0, 10**6)), min_size=1, max_size=9
)
batches = st.lists(
    st.tuples(records, st.sampled_from([0, 0, 1, 2, 3, 4]), st.integers(0, 3)), min_size=1, max_size=5
)

LOG_APPEND_TIME, CONTROL = 8, 32


def batch_of(some: Any, codec: int, base: int, attributes: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 1 << 20)
    for k, (key, value, head, at_ms) in enumerate(some):
        builder.append(k, 1_700_000_000_000 + at_ms, key, value, head)
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    # The attributes' lower byte is the first after the two of the checksummed part.
    data[FROM_CRC + 1] |= attributes
    struct.pack_into(">I", data, FROM_CRC - 4, calc_crc32c(bytes(data[FROM_CRC:])))
    return bytes(data)


def fetch_of(many: Any) -> bytes:
    data, base = b"", 100
    for some, codec, gap in many:
        base += gap
        data += batch_of(some, codec, base)
        base += len(some)
    return data


def original(data: bytes, start: int) -> PartitionRecords:
    return PartitionRecords(TP0, MemoryRecords(data), None, start, None, None, True, READ_UNCOMMITTED)


def ours(data: bytes, start: int) -> _Records:
    return _Records(TP0, _Fetch(data), None, start, None, None, True, READ_UNCOMMITTED)


def plain(record: Any) -> LogRecord:
    return LogRecord(record.offset, record.timestamp, record.key, record.value, tuple(record.headers))


@pytest.mark.parametrize("part", SEAM, ids=lambda part: part.__qualname__)
def test_aiokafka_is_what_blocks_were_written_against(part):
    assert sha256(inspect.getsource(part).encode()).hexdigest()[:12] == SEAM[part]


@given(batches, st.data(), st.integers(1, 7), st.integers(0, 70))
def test_a_block_holds_what_aiokafka_reads(many, drawn, most, cut):
    data = fetch_of(many)
    # A broker begins with the batch that holds the offset, or follows it.
    start = drawn.draw(st.integers(98, 99 + many[0][2] + len(many[0][0])))
    data += batch_of([(b"k", b"v", [], 0)], 0, 999)[:cut]
    theirs, mine = original(data, start), ours(data, start)
    expected = [plain(record) for record in theirs]
    found: list[LogRecord] = []
    is_last = False
    while not is_last:
        taken, is_last = mine.take(most)
        assert isinstance(taken, Block)
        assert len(taken) <= most
        found += [plain(record) for record in taken]
        if not is_last:
            assert mine.next_fetch_offset == taken[-1].offset + 1
    assert found == expected
    assert mine.next_fetch_offset == theirs.next_fetch_offset
    everything, is_last = ours(data, start).take(None)
    assert is_last
    assert [plain(record) for record in everything] == expected


def test_times_are_the_brokers_where_it_sets_them_and_markers_are_passed_over():
    some: Any = [(b"k", b"v", [], 5), (b"k", b"w", [], 9)]
    data = batch_of(some, 0, 10, LOG_APPEND_TIME) + batch_of(some[:1], 0, 12, CONTROL)
    found = unpacked(data)
    assert found is not None
    block, end = found
    assert block.timestamp.tolist() == [1_700_000_000_009] * 2
    assert (block.offset.tolist(), end) == ([10, 11], 13)
    assert [plain(record).timestamp for record in original(data, 0)] == block.timestamp.tolist()


def test_what_is_rare_is_left_to_aiokafka():
    legacy = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    legacy.append(0, 7, b"k", b"v")
    data = bytes(legacy.build())
    assert unpacked(data) is None
    records = ours(data * 2, 0)
    assert len(records.take(1)[0]) == 1
    taken, is_last = records.take(5)
    assert is_last
    assert [record.value for record in taken] == [b"v"] * len(taken)


def test_damage_is_told_of():
    data = bytearray(batch_of([(b"k", b"value", [], 0)], 0, 3))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordException, match="checksum of the batch at offset 3"):
        unpacked(bytes(data))
    struct.pack_into(">i", data, FROM_CRC + 36, 7)
    with pytest.raises(CorruptRecordException, match="cut short"):
        unpacked(bytes(data), check_crcs=False)


def test_only_the_consumer_that_asks_is_changed():
    its = SimpleNamespace()
    read_in_blocks(SimpleNamespace(_fetcher=its))
    assert its.fetched_records.__func__.__code__ is Fetcher.fetched_records.__code__
    assert its.fetched_records.__func__.__globals__["FetchResult"] is not FetchResult
    assert fetcher.FetchResult is FetchResult
    assert _with_ours(Fetcher.fetched_records).__defaults__ == Fetcher.fetched_records.__defaults__
