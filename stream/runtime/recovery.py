"""A backup put into topics: the workers that start next begin with its state.

What the state says of offsets belongs to the logs it came from. A backup holds all of those logs and nothing
in it is on its way from one unit to another, so that every position in it means the same: the end. Loading
rewrites them to mean the place in the new logs from which the workers will read. The units get a lineage of
their own, later than any they had: what workers publish from now on is newer than what was published before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

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
from stream.runtime.archive import Rows, Saved, check, read
from stream.runtime.backup import KEPT, Told
from stream.runtime.clock import now_ms
from stream.runtime.commits import parse_committed
from stream.runtime.compacted import latest
from stream.runtime.connection import close, kafka_arguments, started
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.topics import EVENTS, ITEM_STATE, ITEM_UPDATES, SHOPPER_STATE, ensure
from stream.state.bucket import moved

_SEND_BYTES = 8 << 20
"""Bytes of the file whose messages are sent at once."""


async def load(
    settings: Settings, admin: AIOKafkaAdminClient, path: Path, from_beginning: bool, told: Told
) -> dict[str, Any]:
    """Put the backup in `path` into the topics, of which missing ones are created; a summary.

    The group stands at the beginning of `events` afterwards. Its commits, which come last, make the state
    count, so a load that failed can be tried again. Raises `StateError` for a file that is damaged or of
    other partitions, for a group that has members or state, and, unless `from_beginning`, for an `events`
    that has records.
    """
    head = check(path)
    if head.partitions != settings.partitions:
        raise StateError(
            f"{path} is of {head.partitions} partitions and there are {settings.partitions}: set "
            f"STREAM_PARTITIONS={head.partitions} and use topics that have as many."
        )
    await ensure(admin, settings)
    await _refuse_used(settings, admin)
    async with LogReader(settings) as reader:
        starts = await _starts(settings, reader, from_beginning)
        known = await latest(settings, reader, KEPT)
    lineage_ms = max([now_ms(), *(unit.lineage_ms + 1 for unit in head.units)])
    sink = KafkaSink(settings)
    await sink.start()
    kept, buckets, waiting, sent = dict.fromkeys(KEPT, 0), 0, list[Outgoing](), 0
    try:
        for frame, done in read(path):
            if isinstance(frame, Saved):
                waiting.append(starts.bucket(frame, lineage_ms))
                buckets += 1
            elif isinstance(frame, Rows):
                # What shops have told since is newer than the backup.
                rows = [row for row in frame.unpacked() if row[0] not in known[frame.topic]]
                waiting += [Outgoing(frame.topic, key, value) for key, value in rows]
                kept[frame.topic] += len(rows)
            if done - sent >= _SEND_BYTES:
                await sink.send(messages=waiting)
                waiting, sent = [], done
                told(done, path.stat().st_size)
        await sink.send(messages=waiting)
    finally:
        await sink.stop()
    await commit(settings, starts.commits(settings), lineage_ms)
    return {
        "file": str(path),
        "created_ms": head.created_ms,
        "partitions": head.partitions,
        "lineage_ms": lineage_ms,
        "buckets": buckets,
        "topics": kept,
        "offsets": {str(partition): at for partition, at in starts.events.items()},
    }


class _Starts(NamedTuple):
    """By partition, the offset from which the workers will read."""

    events: dict[int, int]
    item_updates: dict[int, int]

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


async def _starts(settings: Settings, reader: LogReader, from_beginning: bool) -> _Starts:
    events = [(settings.topic(EVENTS), p) for p in range(settings.partitions)]
    updates = [(settings.topic(ITEM_UPDATES), p) for p in range(settings.partitions)]
    begins, ends = await reader.beginnings(events), await reader.ends(events)
    held = sum(ends[place] - begins[place] for place in events)
    if held and not from_beginning:
        raise StateError(
            f"The topic {settings.topic(EVENTS)} holds {held} records: if they are newer than the backup, "
            "--from-beginning counts them on top of it; if they are in it, use other topics."
        )
    # Messages of an earlier life name offsets of another log: none of them is to be applied.
    after = await reader.ends(updates)
    return _Starts({p: begins[t, p] for t, p in events}, {p: after[t, p] for t, p in updates})


async def _refuse_used(settings: Settings, admin: AIOKafkaAdminClient) -> None:
    for response in await admin.describe_consumer_groups([settings.group]):
        for group in response.to_object()["groups"]:
            if group["members"]:
                raise _has_members(settings)
    offsets = await admin.list_consumer_group_offsets(settings.group)
    logs = {settings.topic(log) for log in (EVENTS, ITEM_UPDATES)}
    if any(tp.topic in logs and parse_committed(at) is not None for tp, at in offsets.items()):
        raise StateError(
            f"The group {settings.group} has state of its own in {settings.topic(EVENTS)}: choose another "
            "STREAM_GROUP and STREAM_NAMESPACE, or delete the group if its state is not wanted any more "
            f"(kafka-consumer-groups.sh --delete --group {settings.group})."
        )


def _has_members(settings: Settings) -> StateError:
    return StateError(f"The group {settings.group} has members: stop its workers, then load again.")


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
