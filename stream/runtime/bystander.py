"""The state as a new worker would restore it, without joining the group: to look at, back up and check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient
from faust.types import TP

from stream.errors import StateError
from stream.runtime.commits import Committed, parse_committed
from stream.runtime.connection import kafka_arguments, started
from stream.runtime.engine_thread import EngineThread
from stream.runtime.settings import Settings
from stream.runtime.stages import Engine, state_stages
from stream.runtime.units import Units


async def restore(settings: Settings, engine: Engine, tps: Iterable[TP] | None = None) -> None:
    """Open units of `engine` as the group's commits stand now, of all partitions unless `tps` says which.

    Raises `StateError` when the group has committed nothing there yet.
    """
    stages = state_stages(engine)
    wanted = list(tps or ())
    for stage in () if wanted else stages:
        wanted += [TP(settings.topic(stage.topic), p) for p in range(settings.partitions)]
    thread = EngineThread()
    admin: AIOKafkaAdminClient = await started(
        settings, lambda: AIOKafkaAdminClient(**kafka_arguments(settings))
    )
    try:
        await Units(settings, stages, thread).assign(wanted, _Group(settings, admin), lambda: True)
    finally:
        await admin.close()
        await thread.stop()


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
