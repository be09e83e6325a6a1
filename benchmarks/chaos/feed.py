"""Sends the shop's events at a steady pace, whatever happens meanwhile, and knows how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer

from benchmarks.topics import Event, partition_of

STEP_S = 0.05


class Feed:
    """Writes `events` at `pace` events a second. `ends[p]` is the offset after the last one that was
    acknowledged in partition p; an idempotent producer waits out a broker that is away."""

    def __init__(
        self, bootstrap: str, topic: str, partitions: int, events: Iterator[Event], pace: float
    ) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", request_timeout_ms=120_000
        )
        self._topic = topic
        self._events = events
        self._pace = pace
        self._homes: dict[bytes, int] = {}
        self.ends = [0] * partitions
        self.sent = 0

    async def run(self) -> None:
        """Until all are sent and acknowledged."""
        await self._producer.start()
        try:
            clock = asyncio.get_running_loop().time
            began, waiting = clock(), set[asyncio.Task[None]]()
            while part := self._next(round((clock() - began + STEP_S) * self._pace) - self.sent):
                task = asyncio.create_task(self._write(part))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
                await asyncio.sleep(max(0.0, began + self.sent / self._pace - clock()))
            await asyncio.gather(*waiting)
        finally:
            await self._producer.stop()

    def _next(self, count: int) -> list[Event]:
        part = [event for _, event in zip(range(max(count, 1)), self._events, strict=False)]
        self.sent += len(part)
        return part

    async def _write(self, part: list[Event]) -> None:
        deliveries = []
        for _, key, value, _ in part:
            home = self._homes.get(key)
            if home is None:
                home = self._homes[key] = partition_of(key, len(self.ends))
            deliveries.append(await self._producer.send(self._topic, value, key, partition=home))
        for done in await asyncio.gather(*deliveries):
            self.ends[done.partition] = max(self.ends[done.partition], done.offset + 1)
