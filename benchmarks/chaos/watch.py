"""What an outsider sees of the workers: every published list, its offset, and when it came."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.topics import partition_of
from stream.effects import VERSION_CHARS, VERSION_PREFIX

_VERSION = slice(len(VERSION_PREFIX), len(VERSION_PREFIX) + VERSION_CHARS)


class Watch:
    """Follows the topic of lists. An async context manager.

    `reached[p]` is the last offset of events partition p that a list was made for; `repeated` counts lists
    that were made a second time, by whoever took a partition over; `latest[shopper]` is the newest version.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=50)
        self._tps = [TopicPartition(topic, p) for p in range(partitions)]
        self._homes: dict[bytes, int] = {}
        self._task: asyncio.Task[None]
        self.reached = [-1] * partitions
        self.repeated = 0
        self.lists = 0
        self.latest: dict[bytes, bytes] = {}

    async def __aenter__(self) -> Watch:
        await self._consumer.start()
        self._consumer.assign(self._tps)
        await self._consumer.seek_to_beginning(*self._tps)
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def until_reached(self, offsets: Sequence[int], timeout_s: float) -> float:
        """Seconds until lists were made for an event at or after `offsets[p]` in every partition p."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while any(here < wanted for here, wanted in zip(self.reached, offsets, strict=True)):
            if self._task.done():
                self._task.result()
            if clock() - began > timeout_s:
                raise TimeoutError(f"partitions stand at {self.reached}, not at {list(offsets)}")
            await asyncio.sleep(0.02)
        return clock() - began

    async def _follow(self) -> None:
        while True:
            for found in (await self._consumer.getmany(timeout_ms=200)).values():
                for record in found:
                    self._see(record.key, record.value[_VERSION])

    def _see(self, shopper: bytes, version: bytes) -> None:
        self.lists += 1
        home = self._homes.get(shopper)
        if home is None:
            home = self._homes[shopper] = partition_of(shopper, len(self.reached))
        offset = int(version[-16:])
        if offset > self.reached[home]:
            self.reached[home] = offset
        if version <= self.latest.get(shopper, b""):
            self.repeated += 1
        else:
            self.latest[shopper] = version
