"""The batch transport, and the seam to Faust: what it overrides must still be what it was written against."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
from faust.app.base import App
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream.errors import RetentionError
from stream.runtime.commits import Committed, parse_committed
from stream.runtime.telemetry.histogram import Histogram
from stream.runtime.transport import BatchSchema, Consumer, Transport
from stream.runtime.trouble import CALM

TP0 = TP("events", 0)

# Of each function that is overridden or relied upon: its parameters, first digits of its source's SHA-256.
SEAM = {
    BaseConsumer.getmany: ("timeout", "4b168d84882a"),
    BaseConsumer._wait_next_records: ("timeout", "6218e1969a63"),
    BaseConsumer._drain_messages: ("fetcher", "44a2500309e8"),
    BaseConsumer.perform_seek: ("", "0e8c130ff4b0"),
    BaseConsumer._new_offset: ("tp", "1d2c7ea89a7a"),
    BaseConsumer._filter_tps_with_pending_acks: ("topics", "f6f923977423"),
    BaseConsumer._commit_tps: ("tps start_new_transaction", "a20e230b05ae"),
    BaseConsumer._commit_offsets: ("offsets start_new_transaction", "1a6979904118"),
    BaseConsumer.on_partitions_revoked: ("revoked", "d04b7ae72c6f"),
    BaseConsumer.on_partitions_assigned: ("assigned generation_id", "29ce96596f05"),
    BaseConsumer.commit: ("topics start_new_transaction", "a354437baaa0"),
    BaseConsumer.maybe_wait_for_commit_to_finish: ("", "d687f63a0b5e"),
    driver.AIOKafkaConsumerThread._fetch_records: (
        "consumer active_partitions timeout max_records",
        "39a2c6c79fc1",
    ),
    BaseConsumer.wait_empty: ("", "e4662fe24f09"),
    driver.AIOKafkaConsumerThread._commit: ("offsets", "932852ce7a23"),
    driver.Consumer._commit: ("offsets", "a20eec84e4b2"),
    driver.Consumer._to_message: ("tp record", "7c24f6511b2f"),
    Recovery._resume_streams: ("generation_id", "d986a6710c1a"),
    App._on_partitions_revoked: ("revoked", "d5c895bbe57d"),
    App._stop_consumer: ("", "55854a5de12c"),
}


def test_faust_is_the_version_that_the_transport_was_written_against():
    assert version("faust-streaming") == "0.15.3"


@pytest.mark.parametrize("function", SEAM, ids=lambda function: function.__qualname__)
def test_what_is_overridden_has_not_changed(function):
    parameters = " ".join(list(inspect.signature(function).parameters)[1:])
    source = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]
    assert (parameters, source) == SEAM[function], "read what changed, then adapt the transport and this line"


def test_the_transport_delivers_through_our_consumer():
    assert Transport.Consumer is Consumer


class Scripted(Consumer):
    """A consumer whose fetches are given; nothing of Faust is started."""

    should_stop = False

    def __init__(self, *fetches: Any) -> None:
        self.app: Any = SimpleNamespace(
            consumer_generation_id=1,
            monitor=SimpleNamespace(track_tp_end_offset=lambda tp, offset: None),
        )
        self.flow_active = True
        self.lineages = {}
        self.troubles = {}
        self.sought: list[Any] = []
        self.earliest = 0
        self.opened = {}
        self._read_offset = {}
        self._fetches = list(fetches)
        self._active_partitions = {TP0}
        self._buffered_partitions = set()
        self._next = {}
        self._fetched = {}
        self._stands = {}
        self._done = {}
        self._unacked_messages = WeakSet()
        self._waiting_for_ack = None

    async def _wait_next_records(self, timeout):
        fetch = self._fetches.pop(0)
        found = fetch(self) if callable(fetch) else fetch
        by_tp = found if isinstance(found, dict) else {TP0: found}
        records = {tp: [record(offset) for offset in offsets] for tp, offsets in by_tp.items()}
        return records, self._active_partitions

    async def seek_wait(self, partitions):
        self.sought.append(dict(partitions))

    async def earliest_offsets(self, *partitions):
        return dict.fromkeys(partitions, self.earliest)

    async def perform_seek(self):
        self.sought.append("committed")

    def highwater(self, tp):
        return 0


def record(offset: int) -> Any:
    return SimpleNamespace(offset=offset, timestamp=1000 + offset, timestamp_type=0)


async def delivered(consumer: Scripted) -> list[Any]:
    messages = []
    while consumer._fetches:
        messages += [message async for _, message in consumer.getmany(1.0)]
    return messages


def offsets(message: Any) -> list[int]:
    return [found.offset for _, records in message.value for found in records]


async def test_one_message_holds_all_records_fetched_of_a_partition():
    (message,) = await delivered(Scripted([5, 6, 7]))
    assert offsets(message) == [5, 6, 7]
    assert (message.offset, message.tp, message.generation_id) == (7, TP0, 1)


async def test_all_partitions_of_a_topic_are_one_message_and_are_acknowledged_together():
    other, elsewhere = TP("events", 3), TP("item-updates", 0)
    consumer = Scripted({TP0: [5, 6], elsewhere: [1], other: [8]}, {other: [9]})
    consumer._active_partitions = {TP0, other, elsewhere}
    first, updates, second = await delivered(consumer)
    assert [(tp, [r.offset for r in records]) for tp, records in first.value] == [(TP0, [5, 6]), (other, [8])]
    assert (first.tp, first.offset, updates.tp, second.tp) == (TP0, 6, elsewhere, other)
    consumer.ack(first)
    assert {tp: consumer._new_offset(tp) for tp in (TP0, other, elsewhere)} == {
        TP0: 7, other: 9, elsewhere: None,
    }  # fmt: skip


async def test_what_is_unread_is_counted_by_topic():
    other, elsewhere = TP("events", 3), TP("item-updates", 0)
    consumer = Scripted({TP0: [5, 6], elsewhere: [1], other: [8]})
    consumer._active_partitions = {TP0, other, elsewhere}
    consumer.end = {TP0: 10, other: None, elsewhere: 2}.get  # type: ignore[method-assign, assignment]
    await delivered(consumer)
    assert (consumer.unread("events"), consumer.unread("item-updates"), consumer.unread("examples")) == (
        3,
        0,
        0,
    )


async def test_records_that_were_delivered_before_are_not_again():
    first, second = await delivered(Scripted([5, 6], [5, 6], [6, 7]))
    assert (offsets(first), offsets(second)) == ([5, 6], [7])


async def test_a_hole_of_transaction_markers_is_passed():
    consumer = Scripted([1], [3, 4])
    assert [offsets(m) for m in await delivered(consumer)] == [[1], [3, 4]]


async def test_a_hole_made_by_retention_is_refused_with_the_way_out():
    consumer = Scripted([1], [30])
    consumer.earliest = 30
    with pytest.raises(RetentionError, match=r"records 2 to 29 of events-0 .*--reset-offsets"):
        await delivered(consumer)


async def test_a_fetch_that_straddles_a_rebalance_is_thrown_away_and_sought_back():
    def during_rebalance(consumer):
        consumer.app.consumer_generation_id = 2
        return [8, 9]

    consumer = Scripted([5], during_rebalance, [6, 7])
    assert [offsets(m) for m in await delivered(consumer)] == [[5], [6, 7]]
    assert consumer.sought == [{TP0: 6}]


async def test_nothing_is_delivered_while_the_flow_is_stopped_or_of_partitions_that_are_paused():
    def stopping(consumer):
        consumer.flow_active = False
        return [1]

    def pausing(consumer):
        consumer.flow_active = True
        consumer._active_partitions.clear()
        return [1]

    consumer = Scripted(stopping, pausing)
    assert await delivered(consumer) == []
    assert consumer.sought == ["committed"]


@pytest.mark.parametrize(
    ("opened", "committed", "sought"), [(5, 9, [5]), (5, 5, []), (0, 0, [0]), (None, 9, [])]
)
async def test_reading_goes_on_where_the_unit_stands(monkeypatch, opened, committed, sought):
    """A commit that the partition's last owner sent before may come after the unit was put."""
    consumer, found = Scripted(), []

    async def to_committed(self):
        self._read_offset[TP0] = committed

    async def seek(self, tp, offset):
        found.append(offset)

    monkeypatch.setattr(BaseConsumer, "perform_seek", to_committed)
    monkeypatch.setattr(Consumer, "_seek", seek)
    consumer.opened = {} if opened is None else {TP0: opened}
    await Consumer.perform_seek(consumer)
    stands = committed if opened is None else opened
    assert found == sought
    assert consumer._next == consumer._stands == consumer._read_offset == {TP0: stands}


async def test_the_committable_offset_follows_the_highest_acknowledged():
    consumer = Scripted([5, 6], [9])
    first, second = await delivered(consumer)
    assert consumer._new_offset(TP0) is None
    assert consumer.ack(first)
    assert list(consumer._filter_tps_with_pending_acks()) == [TP0]
    assert consumer._new_offset(TP0) == 7
    assert consumer._new_offset(TP0) == 7, "asking does not change it"
    assert not consumer.ack(first)
    assert consumer.ack(second)
    assert consumer._new_offset(TP0) == 10


async def test_an_acknowledgement_of_an_earlier_generation_commits_nothing():
    consumer = Scripted([5])
    (message,) = await delivered(consumer)
    consumer._unacked_messages.add(message)
    consumer.app.consumer_generation_id = 2
    assert not consumer.ack(message)
    assert message.acked
    assert not consumer._unacked_messages
    assert consumer._new_offset(TP0) is None


async def test_what_is_acknowledged_during_a_commit_is_committed_by_those_that_waited_for_it():
    consumer: Any = Scripted()
    consumer.app.client_only, consumer.loop = False, asyncio.get_running_loop()
    acknowledged, committed = [1], []
    gate = asyncio.Event()

    async def force_commit(topics, start_new_transaction):
        upto = acknowledged[-1]
        await gate.wait()
        committed.append(upto)
        return True

    consumer.force_commit = force_commit
    periodic = asyncio.create_task(consumer.commit())
    await asyncio.sleep(0)
    acknowledged.append(2)
    others = [asyncio.create_task(consumer.commit()) for _ in range(3)]
    cancelled = asyncio.create_task(consumer.commit())
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    gate.set()
    assert await asyncio.gather(periodic, *others) == [True] * 4
    assert committed == [1, 2, 2, 2]


async def test_a_forgotten_message_is_waited_for_no_more_and_commits_nothing():
    consumer = Scripted([5])
    (message,) = await delivered(consumer)
    consumer._unacked_messages.add(message)
    consumer.forget(message)
    assert not consumer._unacked_messages
    assert not consumer.ack(message)
    assert consumer._new_offset(TP0) is None


async def test_a_partition_is_unfinished_until_all_that_can_be_read_of_it_is_committed(monkeypatch):
    consumer: Any = Scripted([5, 6])
    place: list[Any] = [None]
    consumer._thread = SimpleNamespace(place=lambda tp: place[0])
    consumer.commit_seconds = Histogram((1.0,))
    consumer._stands = {TP0: 5}
    commits = [False, True]

    async def commit(self, offsets):
        return commits.pop(0)

    monkeypatch.setattr(driver.Consumer, "_commit", commit)
    assert (consumer.end(TP0), consumer.unfinished(TP0)) == (None, 5), "nobody has told yet"
    await delivered(consumer)
    # The log ends with a transaction marker at 7.
    place[0] = (7, 8)
    assert (consumer.end(TP0), consumer.unfinished(TP0)) == (8, 5)
    place[0] = (8, 8)
    assert (consumer.end(TP0), consumer.unfinished(TP0)) == (7, 5)
    assert not await consumer.commit_now({TP0: 7})
    assert consumer.unfinished(TP0) == 5, "the group did not take it"
    assert await consumer.commit_now({TP0: 7})
    assert consumer.unfinished(TP0) is None
    assert consumer.commit_seconds.read().buckets[-1][1] == 2


async def test_what_is_known_of_trouble_goes_with_the_offset_and_ends_with_progress(monkeypatch):
    consumer: Any = Scripted([5, 6])
    consumer.commit_seconds, consumer.leaving = Histogram((1.0,)), None
    committed: list[Any] = []

    async def commit(self, offsets):
        committed.append((offsets[TP0], self.troubles[TP0]))
        return True

    async def wait_empty(self):
        """Nothing is on its way."""

    monkeypatch.setattr(driver.Consumer, "_commit", commit)
    monkeypatch.setattr(BaseConsumer, "wait_empty", wait_empty)
    assert not await consumer.note(TP0, lambda trouble: trouble.marked(5, 6)), "it stands nowhere yet"
    consumer._stands, consumer.troubles = {TP0: 5}, {TP0: CALM.opened()}
    assert await consumer.note(TP0, lambda trouble: trouble.marked(5, 6))
    (message,) = await delivered(consumer)
    consumer.ack(message)
    assert await consumer.note(TP0, lambda trouble: trouble.marked(7, 8))
    assert await consumer.commit_now({TP0: 9})
    consumer.troubles = {TP0: CALM.opened()}
    await consumer.wait_empty()
    await consumer.wait_empty()
    assert committed == [
        (5, CALM.opened().marked(5, 6)),
        (7, CALM.marked(7, 8)),
        (9, CALM),
        (9, CALM),
    ], "given away in order: nothing ended the worker"


def test_committed_offsets_carry_the_lineage():
    assert parse_committed(SimpleNamespace(offset=12, metadata="1700000000000")) == Committed(
        12, 1_700_000_000_000
    )
    assert parse_committed(SimpleNamespace(offset=12, metadata="")) == Committed(12, 0)
    assert parse_committed(SimpleNamespace(offset=-1, metadata="")) is None
    assert parse_committed(None) is None


def test_the_schema_hands_through():
    batch, key = [record(1)], b"key"
    message = SimpleNamespace(value=batch, key=key)
    assert BatchSchema().loads_value(None, message, loads=None) is batch
    assert BatchSchema().loads_key(None, message) is key
