"""The state as a new worker would restore it, without joining the group: to look at, back up and check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient
from faust.types import TP

from stream.errors import StateError
from stream.events.records import LogRecord, Record
from stream.runtime.clock import now_ms
from stream.runtime.commits import Committed, parse_committed
from stream.runtime.connection import kafka_arguments, started
from stream.runtime.engine_thread import EngineThread
from stream.runtime.kafka_sink import partition_of
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.stages import Engine, state_stages
from stream.runtime.topics import EVENTS, ITEM_UPDATES
from stream.runtime.units import Units

if TYPE_CHECKING:
    from stream import engine as core

Offsets = dict[TP, int]
"""By partition, the offset after the last record that is in the state."""


async def restore(settings: Settings, engine: Engine, tps: Iterable[TP] | None = None) -> Offsets:
    """Open units of `engine` as the group's commits stand now, of all partitions unless `tps` says which.

    Raises `StateError` when the group has committed nothing there yet.
    """
    stages = state_stages(engine)
    wanted = list(tps or ())
    for stage in () if wanted else stages:
        wanted += [TP(settings.topic(stage.topic), p) for p in range(settings.partitions)]
    thread = EngineThread()
    units = Units(settings, stages, thread)
    admin: AIOKafkaAdminClient = await started(
        settings, lambda: AIOKafkaAdminClient(**kafka_arguments(settings))
    )
    try:
        await units.assign(wanted, _Group(settings, admin), lambda: True)
    finally:
        await admin.close()
        await thread.stop()
    return {tp: unit.next_offset for tp, unit in units.items()}


async def catch_up(settings: Settings, engine: core.Engine, offsets: Mapping[TP, int]) -> Offsets:
    """Go on from where `restore` has left all units to the present ends of the logs; the new offsets.

    Afterwards all units hold the same events, those of the whole log, and nothing is on its way between
    them: what workers have not sent yet is handed over here. It is written nowhere.
    """
    logs = _Logs(settings, engine, offsets)
    async with LogReader(settings) as reader:
        # What the items hold comes of events that are in the log by then: its ends are asked for last.
        items = await reader.ends(tp for tp in offsets if tp.topic == settings.topic(ITEM_UPDATES))
        events = await reader.ends(tp for tp in offsets if tp.topic == settings.topic(EVENTS))
        reader.open(dict(offsets.items()))
        for topic, ends in ((ITEM_UPDATES, items), (EVENTS, events)):
            for place, end in ends.items():
                async for records in reader.read(place, end, settings.max_poll_records):
                    logs.apply(topic, place[1], records)
                logs.next[topic, place[1]] = end
    logs.write_again()
    return {TP(settings.topic(topic), partition): offset for (topic, partition), offset in logs.next.items()}


class _Logs:
    """The logs of all units as they would go on if the engine were the only worker."""

    def __init__(self, settings: Settings, engine: core.Engine, offsets: Mapping[TP, int]) -> None:
        self.next = {(tp.topic.removeprefix(settings.namespace), tp.partition): offsets[tp] for tp in offsets}
        self._partitions = settings.partitions
        self._engine = engine
        self._rekeyed: list[tuple[bytes, Record]] = []

    def apply(self, topic: str, partition: int, records: list[Record]) -> None:
        """A batch of one of the two logs, and in the case of events what the items hear of it."""
        if topic == ITEM_UPDATES:
            self._engine.items(partition, records, now_ms(), silent=True)
            return
        effects = self._engine.shoppers(partition, records, now_ms())
        self._rekeyed += effects.rekeyed
        for message in effects.messages:
            if message.topic == ITEM_UPDATES and message.partition is not None:
                self._tell(message.partition, message.value)

    def write_again(self) -> None:
        """Records whose key was not their shopper, at the end of the log where they belong.

        A worker writes them to `events` again; that it has done so before is seen by their ids.
        """
        waiting, self._rekeyed = self._rekeyed, []
        for key, record in waiting:
            partition = partition_of(key, self._partitions)
            offset = self.next[EVENTS, partition]
            self.next[EVENTS, partition] += 1
            written = LogRecord(offset, record.timestamp, key, record.value, record.headers)
            self.apply(EVENTS, partition, [written])

    def _tell(self, partition: int, value: bytes) -> None:
        offset = self.next[ITEM_UPDATES, partition]
        self.next[ITEM_UPDATES, partition] += 1
        unit = self._engine.item_units[partition]
        holes = unit.holes
        self._engine.items(partition, [LogRecord(offset, 0, None, value)], 0, silent=True)
        if unit.holes > holes:
            raise StateError(
                f"Messages of item-updates-{partition} are missing that the group has read events for: the "
                "state is not whole, let the workers read item-updates first."
            )


class _Group:
    """The group's commits, read only."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient) -> None:
        self.lineages: dict[TP, int] = {}
        self._settings = settings
        self._admin = admin

    async def committed(self, tps: list[TP]) -> dict[TP, Committed | None]:
        offsets = await self._admin.list_consumer_group_offsets(self._settings.group)
        found = {TP(tp.topic, tp.partition): parse_committed(at) for tp, at in offsets.items()}
        missing = sorted(tp for tp in tps if found.get(tp) is None)
        if missing:
            raise StateError(
                f"the group {self._settings.group} has committed nothing in {missing[0].topic}-"
                f"{missing[0].partition}: let a worker run first, or correct STREAM_GROUP, STREAM_NAMESPACE "
                "and STREAM_PARTITIONS."
            )
        return {tp: found[tp] for tp in tps}

    async def commit_now(self, offsets: Mapping[TP, int]) -> bool:
        return True
