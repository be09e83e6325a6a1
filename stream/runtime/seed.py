"""State put into topics that have none yet: the workers that start next begin with it.

A seed holds all of the logs that it was made from, and nothing in it is on its way from one unit to another,
so that every position in it means the same: the end. Here it is made to mean the place in the logs from which
the workers will read. The units get a lineage of their own: what workers publish from now on is newer than
what was published before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from stream.errors import StateError
from stream.runtime.archive import Rows, Saved
from stream.runtime.commits import parse_committed
from stream.runtime.compacted import latest
from stream.runtime.connection import close, kafka_arguments, started
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.topics import EVENTS, ITEM_STATE, ITEM_UPDATES, KEPT, SHOPPER_STATE, ensure
from stream.state.bucket import moved

_SEND_BYTES = 8 << 20
"""Bytes of state that are sent at once."""


class Starts(NamedTuple):
    """By partition, the offset from which the workers will read. `held`: records that `events` has then."""

    events: dict[int, int]
    item_updates: dict[int, int]
    held: int

    def bucket(self, saved: Saved, lineage_ms: int) -> Outgoing:
        """The bucket as one of these logs."""
        before = {partition: at - 1 for partition, at in self.events.items()}
        if saved.stage == "shoppers":
            position = before[saved.partition]
            # All that was to be sent was: to every item partition.
            ends, topic = dict.fromkeys(self.item_updates, position), SHOPPER_STATE
        else:
            position = self.item_updates[saved.partition] - 1
            ends, topic = before, ITEM_STATE
        value = moved(saved.value, lineage_ms, position, ends)
        return Outgoing(topic, b"%d" % saved.bucket, value, saved.partition)

    def commits(self, settings: Settings) -> dict[TP, int]:
        """The same as offsets of the group."""
        logs = ((EVENTS, self.events), (ITEM_UPDATES, self.item_updates))
        return {TP(settings.topic(log), p): at for log, starts in logs for p, at in starts.items()}


async def prepare(settings: Settings, admin: AIOKafkaAdminClient) -> Starts:
    """Create missing topics; where the workers will begin: the first record of `events`.

    Raises `TopicError` for topics of other partitions, `StateError` for a group that has members or state.
    """
    await ensure(admin, settings)
    await _refuse_used(settings, admin)
    events = [(settings.topic(EVENTS), p) for p in range(settings.partitions)]
    updates = [(settings.topic(ITEM_UPDATES), p) for p in range(settings.partitions)]
    async with LogReader(settings) as reader:
        begins, ends = await reader.beginnings(events), await reader.ends(events)
        # Messages of an earlier life name offsets of another log: none of them is to be applied.
        after = await reader.ends(updates)
    held = sum(ends[place] - begins[place] for place in events)
    return Starts({p: begins[t, p] for t, p in events}, {p: after[t, p] for t, p in updates}, held)


async def put(
    settings: Settings, starts: Starts, lineage_ms: int, frames: Iterable[Saved | Rows]
) -> tuple[int, dict[str, int]]:
    """Send the state, then commit `starts` for the group: (buckets, messages by topic).

    The commits make it count, so what failed before can be tried again. What the topics already hold of
    `KEPT` is newer and stays. Raises `StateError` when a worker has started meanwhile.
    """
    async with LogReader(settings) as reader:
        known = await latest(settings, reader, KEPT)
    sink = KafkaSink(settings)
    await sink.start()
    kept, buckets, waiting, size = dict.fromkeys(KEPT, 0), 0, list[Outgoing](), 0
    try:
        for frame in frames:
            if isinstance(frame, Saved):
                waiting.append(starts.bucket(frame, lineage_ms))
                size += len(frame.value)
                buckets += 1
            else:
                rows = [row for row in frame.unpacked() if row[0] not in known[frame.topic]]
                waiting += [Outgoing(frame.topic, key, value) for key, value in rows]
                size += len(frame.packed)
                kept[frame.topic] += len(rows)
            if size >= _SEND_BYTES:
                await sink.send(messages=waiting)
                waiting, size = [], 0
        await sink.send(messages=waiting)
    finally:
        await sink.stop()
    await commit(settings, starts.commits(settings), lineage_ms)
    return buckets, kept


async def _refuse_used(settings: Settings, admin: AIOKafkaAdminClient) -> None:
    if await has_members(admin, settings.group):
        raise _has_members(settings)
    offsets = await admin.list_consumer_group_offsets(settings.group)
    logs = {settings.topic(log) for log in (EVENTS, ITEM_UPDATES)}
    if any(tp.topic in logs and parse_committed(at) is not None for tp, at in offsets.items()):
        raise StateError(
            f"The group {settings.group} has state of its own in {settings.topic(EVENTS)}: choose another "
            "STREAM_GROUP and STREAM_NAMESPACE, or delete the group if its state is not wanted any more "
            f"(kafka-consumer-groups.sh --delete --group {settings.group})."
        )


async def has_members(admin: AIOKafkaAdminClient, group: str) -> bool:
    """Whether workers of the group run."""
    responses = await admin.describe_consumer_groups([group])
    return any(found["members"] for response in responses for found in response.to_object()["groups"])


def _has_members(settings: Settings) -> StateError:
    return StateError(f"The group {settings.group} has members: stop its workers, then try again.")


async def commit(settings: Settings, offsets: dict[TP, int], lineage_ms: int) -> None:
    """Set offsets of a group that nobody is in; `StateError`, and nothing is changed, if somebody is."""
    consumer = await started(
        settings,
        lambda: AIOKafkaConsumer(
            **kafka_arguments(settings), group_id=settings.group, enable_auto_commit=False
        ),
    )
    try:
        consumer.assign([TopicPartition(*tp) for tp in offsets])
        metadata = str(lineage_ms)
        await consumer.commit(
            {TopicPartition(*tp): OffsetAndMetadata(at, metadata) for tp, at in offsets.items()}
        )
    except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError):
        # A worker that started meanwhile owns the group.
        raise _has_members(settings) from None
    finally:
        await close(consumer)
