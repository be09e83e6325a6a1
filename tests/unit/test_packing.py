"""What kernels write for Kafka and Redis is what others read there."""

from __future__ import annotations

import inspect
from hashlib import sha256
from importlib.metadata import version

import numpy as np
import pytest
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator, MessageBatch
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from stream.effects import Values, merged
from stream.runtime.kafka_sink import partition_of
from stream.runtime.record_batch import PackedBatch, pack_records
from stream.runtime.redis_script import PIECE_BYTES, SCRIPT_SHA, TTL_JITTER, pack_calls
from stream.runtime.resp import Parser
from stream.state.interner import Interner, joined
from stream.state.texts import Texts

# Of what `PackedBatch` overrides or stands in for: first digits of its source's SHA-256.
SEAM = {
    BatchBuilder: "8050802ca751",
    MessageBatch.set_producer_state: "3ae8627bb3db",
    MessageBatch.get_data_buffer: "81c4aaef84b0",
    MessageAccumulator._pop_batch: "41cc98a298ef",
}

SOME = st.lists(
    st.tuples(st.binary(min_size=1, max_size=20), st.binary(max_size=300)), min_size=1, max_size=60
)


def test_aiokafka_is_the_version_that_batches_were_written_against():
    assert version("aiokafka") == "0.14.0"


@pytest.mark.parametrize("part", SEAM, ids=lambda part: part.__qualname__)
def test_aiokafka_is_what_batches_were_written_against(part):
    assert sha256(inspect.getsource(part).encode()).hexdigest()[:12] == SEAM[part]


@given(st.lists(st.lists(st.binary(max_size=9), max_size=9), min_size=1, max_size=4))
def test_texts_are_a_sequence_of_bytes(lists):
    many = [Texts.of(texts) for texts in lists]
    every = [text for texts in lists for text in texts]
    chained = Texts.chained(many)
    assert list(chained) == every == [chained[k] for k in range(len(chained))]
    assert chained == Texts.of(every)
    assert chained.ends.dtype == np.int64
    assert b"".join(every) == chained.array.tobytes()


def test_names_of_numbers_are_texts():
    interner = Interner(16)
    numbers = interner.intern(joined(["a", "äö", "c"]), 3)
    assert list(interner.texts(numbers[::-1])) == [b"c", "äö".encode(), b"a"]
    assert list(interner.texts(numbers[:0])) == []


def test_values_are_merged_by_kind_in_their_order():
    one, two = Values.of("recs", [b"a", b"b"], [b"1", b"2"]), Values.of("price", [b"a"], [b"3"])
    again = Values.of("recs", [b"a"], [b"4"])
    assert merged([one, two, again]) == [Values.of("recs", [b"a", b"b", b"a"], [b"1", b"2", b"4"]), two]


@given(SOME, st.integers(1, 5), st.integers(100, 1000))
def test_record_batches_hold_every_record_on_its_partition_in_order(pairs, partitions, most_bytes):
    keys, values = Texts.of(key for key, _ in pairs), Texts.of(value for _, value in pairs)
    found: dict[int, list[tuple[bytes, bytes]]] = {}
    sequence = 7
    for packed in pack_records(keys, values, partitions, most_bytes):
        batch = PackedBatch(packed, 1_700_000_000_000)
        assert batch.closed()
        assert batch.append(timestamp=0, key=b"k", value=b"v") is None
        assert batch.record_count() == packed.records
        batch._set_producer_state(12, 3, sequence)
        data = bytes(batch._build())
        assert batch.size() == len(data)
        assert len(data) <= most_bytes or packed.records == 1
        read = DefaultRecordBatch(data)
        assert read.validate_crc()
        assert (read.magic, read.compression_type, read.is_transactional, read.is_control_batch) == (
            2,
            0,
            0,
            0,
        )
        assert (read.producer_id, read.producer_epoch, read.base_sequence) == (12, 3, sequence)
        records = list(read)
        assert [record.offset for record in records] == list(range(packed.records))
        assert {record.timestamp for record in records} == {1_700_000_000_000}
        found.setdefault(packed.partition, []).extend((record.key, record.value) for record in records)
        # A batch that is sent again by another producer is numbered anew.
        batch._set_producer_state(13, 0, sequence + 1)
        assert DefaultRecordBatch(bytes(batch._build())).validate_crc()
        sequence += packed.records
    expected: dict[int, list[tuple[bytes, bytes]]] = {}
    for key, value in pairs:
        expected.setdefault(partition_of(key, partitions), []).append((key, value))
    assert found == expected


def test_full_batches_are_cut_no_earlier_than_they_must_be():
    keys, values = Texts.of([b"k"] * 1000), Texts.of([b"v" * 400] * 1000)
    batches = pack_records(keys, values, 1, 1 << 16)
    assert len(batches) == -(-1000 * 408 // (1 << 16))


@given(SOME, st.data())
def test_script_calls_are_what_redis_expects(pairs, data):
    ids, values = Texts.of(key for key, _ in pairs), Texts.of(value for _, value in pairs)
    order = np.array(data.draw(st.permutations(range(len(pairs)))), np.int64)
    cut = data.draw(st.integers(0, len(pairs) - 1))
    calls = [call for call in (order[:cut], order[cut:]) if len(call)]
    # A command is an array of bulk strings, as replies may be as well.
    commands = Parser().feed(b"".join(pack_calls(ids, values, b"p:{", b"}", calls, 1000)))
    for call, command in zip(calls, commands, strict=True):
        assert isinstance(command, list)
        n = len(call)
        assert command[:3] == [b"EVALSHA", SCRIPT_SHA, b"%d" % n]
        assert command[3 : 3 + n] == [b"p:{%s}" % pairs[k][0] for k in call.tolist()]
        ttl = command[3 + n]
        assert isinstance(ttl, bytes)
        assert 1000 * (1 - TTL_JITTER) <= int(ttl) <= 1000
        assert command[4 + n :] == [pairs[k][1] for k in call.tolist()]


def test_script_calls_are_sent_some_at_a_time():
    ids, values = Texts.of([b"k"] * 1000), Texts.of([b"v" * 500] * 1000)
    calls = [np.arange(at, at + 50) for at in range(0, 1000, 50)]
    pieces = pack_calls(ids, values, b"", b"", calls, 10)
    assert [len(Parser().feed(piece)) for piece in pieces] == [5, 5, 5, 5]
    assert all(len(piece) < PIECE_BYTES + (50 << 10) for piece in pieces)
