"""What every worker must know (catalogue, aggregates, models): read whole at the start, then followed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiokafka import AIOKafkaConsumer

from stream.runtime.connection import close, kafka_arguments, started
from stream.runtime.engine_thread import EngineThread
from stream.runtime.log_reader import partitions_of
from stream.runtime.settings import Settings
from stream.runtime.stages import Engine
from stream.runtime.topics import CONTROL

log = logging.getLogger(__name__)

FETCH_MAX_WAIT_MS = 100
MAX_RECORDS = 2000


class Control:
    """A consumer without a group that hands every message of the control topics to the engine."""

    def __init__(self, settings: Settings, engine: Engine, thread: EngineThread) -> None:
        self._settings = settings
        self._engine = engine
        self._thread = thread
        self._names = {settings.topic(name): name for name in CONTROL}
        self._consumer: AIOKafkaConsumer
        self.messages = 0

    async def start(self) -> None:
        """Read everything that is there now; returns when the engine knows it."""
        self._consumer = consumer = await started(
            self._settings,
            lambda: AIOKafkaConsumer(
                **kafka_arguments(self._settings),
                enable_auto_commit=False,
                fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            ),
        )
        tps = [tp for topic in self._names for tp in await partitions_of(consumer, topic)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        for tp, begin in (await consumer.beginning_offsets(tps)).items():
            consumer.seek(tp, begin)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            await self._step()

    async def run(self) -> None:
        """Follow the topics, for ever."""
        while True:
            await self._step()

    async def stop(self) -> None:
        await close(self._consumer)

    async def _step(self) -> None:
        found: dict[Any, list[Any]] = await self._consumer.getmany(
            timeout_ms=FETCH_MAX_WAIT_MS, max_records=MAX_RECORDS
        )
        for tp, records in found.items():
            await self._thread.call(self._tell, self._names[tp.topic], records)
            self.messages += len(records)
        await asyncio.sleep(0)

    def _tell(self, name: str, records: list[Any]) -> None:
        for record in records:
            refused = self._engine.control(name, record.key, record.value)
            if refused is not None:
                place = f"{record.topic}-{record.partition}"
                log.warning("Refused record %d of %s: %s", record.offset, place, refused)
