"""What a worker tells about itself: one JSON object in Redis, renewed every second."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from stream.runtime.clock import now_ms
from stream.runtime.engine_thread import EngineThread
from stream.runtime.freshness import Freshness
from stream.runtime.lane import Lane
from stream.runtime.outbox import Outbox
from stream.runtime.settings import Settings
from stream.runtime.stages import Engine
from stream.runtime.units import Units
from stream.values import key_of

log = logging.getLogger(__name__)

EVERY_S = 1.0
TTL_S = 10
"""A worker that has not been heard of for this long is not shown any more."""


class Status:
    """Collects and writes the status. `highwater(tp)` is the end of a partition's log as last heard of."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        thread: EngineThread,
        units: Units,
        lanes: Sequence[Lane],
        outbox: Outbox,
        freshness: Freshness,
        highwater: Callable[[Any], int | None],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._thread = thread
        self._units = units
        self._lanes = lanes
        self._outbox = outbox
        self._freshness = freshness
        self._highwater = highwater
        self.ready = False
        self._started_ms = now_ms()

    def partitions(self) -> dict[str, dict[str, int]]:
        """By stage and partition: the offset of the first record that is not in the state."""
        found: dict[str, dict[str, int]] = {}
        for tp, unit in self._units.items():
            found.setdefault(unit.stage.name, {})[str(tp.partition)] = unit.next_offset
        return found

    async def collect(self) -> dict[str, Any]:
        """The status as of now. `lag` counts records that are in Kafka and not yet in the state."""
        engine = await self._thread.call(self._engine.metrics.as_dict)
        now = now_ms()
        lag: dict[str, int] = {}
        for tp, unit in self._units.items():
            behind = max((self._highwater(tp) or 0) - unit.next_offset, 0)
            lag[unit.stage.name] = lag.get(unit.stage.name, 0) + behind
        return {
            "worker": self._settings.worker_id,
            "at_ms": now,
            "started_ms": self._started_ms,
            "ready": self.ready,
            "partitions": self.partitions(),
            "lag": lag,
            "batches": {lane.stage.name: lane.batches for lane in self._lanes},
            "records": {lane.stage.name: lane.records for lane in self._lanes},
            "freshness_p50_ms": self._freshness.quantile_ms(0.5, now),
            "freshness_p99_ms": self._freshness.quantile_ms(0.99, now),
            "redis_written": self._outbox.redis.counts.written,
            "redis_refused": self._outbox.redis.counts.refused,
            "kafka_sent": self._outbox.kafka.sent,
            "engine": engine,
        }

    async def run(self) -> None:
        """Write the status every second, for ever; skips while Redis is away."""
        key = key_of(self._settings.prefix, "worker", self._settings.worker_id)
        while True:
            try:
                await self._outbox.redis.put(key, json.dumps(await self.collect()).encode(), TTL_S)
            except OSError as error:
                log.debug("Status not written: %s", error)
            await asyncio.sleep(EVERY_S)
