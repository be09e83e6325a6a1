"""The state as a new worker would restore it, without joining the group: to look at, back up and check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient
from faust.types import TP

from stream.errors import StateError
from stream.runtime.commits import Committed, parse_committed
from stream.runtime.connection import kafka_arguments, started
from stream.runtime.control import Control
from stream.runtime.engine_thread import EngineThread
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.sole_worker import SoleWorker
from stream.runtime.stages import Engine, state_stages
from stream.runtime.topics import EVENTS, ITEM_UPDATES
from stream.runtime.trouble import Trouble
from stream.runtime.units import Units

if TYPE_CHECKING:
    from stream import engine as core

Offsets = dict[TP, int]
"""By partition, the offset after the last record that is in the state."""


async def inform(settings: Settings, engine: Engine) -> None:
    """Tell `engine` what every worker is told: the catalogue, rules, prices, popularity, the model."""
    thread = EngineThread()
    control = Control(settings, engine, thread)
    try:
        await control.start()
        await control.stop()
    finally:
        await thread.stop()


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
    namespace = settings.namespace
    following = {(tp.topic.removeprefix(namespace), tp.partition): at for tp, at in offsets.items()}
    worker = SoleWorker(engine, settings.partitions, following)
    async with LogReader(settings) as reader:
        # What the items hold comes of events that are in the log by then: its ends are asked for last.
        items = await reader.ends(tp for tp in offsets if tp.topic == settings.topic(ITEM_UPDATES))
        events = await reader.ends(tp for tp in offsets if tp.topic == settings.topic(EVENTS))
        reader.open(dict(offsets.items()))
        for topic, ends, count in (
            (ITEM_UPDATES, items, worker.items),
            (EVENTS, events, worker.events),
        ):
            for place, end in ends.items():
                async for records in reader.read(place, end, settings.max_poll_records):
                    count(place[1], records)
                worker.next[topic, place[1]] = end
    worker.write_again()
    return {TP(settings.topic(log), partition): at for (log, partition), at in worker.next.items()}


class _Group:
    """The group's commits, read only."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient) -> None:
        self.lineages: dict[TP, int] = {}
        self.troubles: dict[TP, Trouble] = {}
        self.opened: dict[TP, int] = {}
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

    async def note(self, tp: TP, change: Callable[[Trouble], Trouble]) -> bool:
        return True
