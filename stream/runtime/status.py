"""What a worker tells about itself: one JSON object in Redis, renewed every second."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from stream.runtime.clock import now_ms
from stream.runtime.freshness import Freshness
from stream.runtime.lane import Lane
from stream.runtime.outbox import Outbox
from stream.runtime.settings import Settings
from stream.runtime.telemetry.observer import Observer
from stream.values import key_of

log = logging.getLogger(__name__)

EVERY_S = 1.0
TTL_S = 10
"""A worker that has not been heard of for this long is not shown any more."""


class Status:
    """Collects and writes the status. `url` is where the worker serves its metrics."""

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        lanes: Sequence[Lane],
        outbox: Outbox,
        freshness: Freshness,
        url: str,
        ready: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._lanes = lanes
        self._outbox = outbox
        self._freshness = freshness
        self._url = url
        self._ready = ready
        self._started_ms = now_ms()

    async def collect(self) -> dict[str, Any]:
        """The status as of now. `partitions` has, by stage and partition, the offset of the first record that
        is not in the state; `lag` counts the records that are in Kafka and not yet there."""
        sample = await self._observer.look()
        now = sample.at_ms
        return {
            "worker": self._settings.worker_id,
            "metrics": f"{self._url}/metrics",
            "at_ms": now,
            "started_ms": self._started_ms,
            "ready": self._ready(),
            "partitions": sample.partitions,
            "lag": sample.lag,
            "lag_s": sample.lag_s,
            "batches": {lane.stage.name: lane.batches for lane in self._lanes},
            "records": {lane.stage.name: lane.records for lane in self._lanes},
            "freshness_p50_ms": self._freshness.quantile_ms(0.5, now),
            "freshness_p99_ms": self._freshness.quantile_ms(0.99, now),
            "redis_written": self._outbox.redis.counts.written,
            "redis_refused": self._outbox.redis.counts.refused,
            "kafka_sent": self._outbox.kafka.sent,
            "engine": sample.engine,
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
