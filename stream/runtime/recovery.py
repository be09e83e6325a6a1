"""A backup put into topics: the workers that start next begin with its state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from stream.errors import StateError
from stream.runtime.archive import Head, Rows, Saved, check, read
from stream.runtime.backup import Told
from stream.runtime.clock import now_ms
from stream.runtime.log_reader import LogReader
from stream.runtime.seed import has_members, prepare, put
from stream.runtime.settings import Settings
from stream.runtime.topics import EVENTS


async def load(
    settings: Settings, admin: AIOKafkaAdminClient, path: Path, from_beginning: bool, told: Told
) -> dict[str, Any]:
    """Put the backup in `path` into the topics, of which missing ones are created; a summary.

    The group stands at the beginning of `events` afterwards. Raises `StateError` for a file that is damaged
    or of other partitions, for a group that has members or state, unless `from_beginning` for an `events`
    that has records, and for a repartitioned file whose old log goes on.
    """
    head = check(path)
    if head.partitions != settings.partitions:
        raise StateError(
            f"{path} is of {head.partitions} partitions and there are {settings.partitions}: set "
            f"STREAM_PARTITIONS={head.partitions} and use topics that have as many, or let `stream state "
            f"repartition {path} --to {settings.partitions}` write another backup first."
        )
    if head.is_repartitioned:
        await _refuse_unfinished(settings, admin, head)
    starts = await prepare(settings, admin)
    if starts.held and not from_beginning:
        raise StateError(
            f"The topic {settings.topic(EVENTS)} holds {starts.held} records: if they are newer than the "
            "backup, --from-beginning counts them on top of it; if they are in it, use other topics."
        )
    lineage_ms = max([now_ms(), *(unit.lineage_ms + 1 for unit in head.units)])
    buckets, kept = await put(settings, starts, lineage_ms, _state(path, told))
    return {
        "file": str(path),
        "created_ms": head.created_ms,
        "partitions": head.partitions,
        "lineage_ms": lineage_ms,
        "buckets": buckets,
        "topics": kept,
        "offsets": {str(partition): at for partition, at in starts.events.items()},
    }


def _state(path: Path, told: Told) -> Iterator[Saved | Rows]:
    size = path.stat().st_size
    for frame, done in read(path):
        if not isinstance(frame, Head):
            yield frame
        told(done, size)


async def _refuse_unfinished(settings: Settings, admin: AIOKafkaAdminClient, head: Head) -> None:
    """Events that reach the old log after its backup was taken would count nowhere."""
    old = head.namespace + EVENTS
    if old == settings.topic(EVENTS) or old not in {t["topic"] for t in await admin.describe_topics()}:
        return
    if await has_members(admin, head.group):
        raise StateError(
            f"The group {head.group} still has members, and workers of two partitionings would both answer: "
            "stop its workers, then load again."
        )
    places = {(old, unit.partition): unit.next_offset for unit in head.units if unit.stage == "shoppers"}
    async with LogReader(settings) as reader:
        ends = await reader.ends(places)
    left = sum(max(0, ends[place] - at) for place, at in places.items())
    if left:
        raise StateError(
            f"{left} records reached {old} after the backup was taken and would count nowhere: let producers "
            "write to the new topics only, then dump, repartition and load again."
        )
