"""What readers and the simulated shop give, into Kafka: events, item facts, dead letters."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType
from typing import Self

import msgspec

from stream.cli.brokers import quiet, soon
from stream.events.readers import Bad, ReadResult
from stream.events.types import Item
from stream.runtime import topics
from stream.runtime.clock import now_ms
from stream.runtime.dead_letters import dead_letters
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.settings import Settings
from stream.state.hashing import partition_ids
from stream.state.texts import Texts

BATCH = 5_000
"""Messages sent at once: some 150 KB a partition, and a tenth of a second of work."""


class Sender:
    """An async context manager around a producer. Creates missing topics when it is entered.

    - events go to `events` under the shopper's id, to the partition that Kafka's default (murmur2) takes;
    - item facts go to `items` under the item's id;
    - bad rows go to `dead-letters` with their bytes untouched and the headers that a worker writes, where
      `source` (a file's name) stands for the topic and the line for the offset.

    `add` waits only when a whole batch is full and the one before it is not delivered yet.
    """

    def __init__(self, settings: Settings, source: str, batch: int = BATCH) -> None:
        self.events = self.items = 0
        self.refused: Counter[str] = Counter()
        self._settings = settings
        self._source = source
        self._batch = batch
        self._sink = KafkaSink(settings)
        self._keys: list[bytes] = []
        self._values: list[bytes] = []
        self._others: list[Outgoing] = []
        self._under_way: asyncio.Task[None] | None = None
        self._encode = msgspec.json.Encoder().encode

    async def __aenter__(self) -> Self:
        quiet()
        await soon(self._settings, topics.prepare(self._settings))
        await soon(self._settings, self._sink.start())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.flush()
            elif self._under_way is not None:
                self._under_way.cancel()
        finally:
            await self._sink.stop()

    async def add(self, result: ReadResult) -> None:
        """Take in one result; sends when a batch is full."""
        if isinstance(result, Bad):
            self.refused[result.reason] += 1
            self._others += dead_letters([result.refused(now_ms())], self._source, 0)
        elif isinstance(result, Item):
            self.items += 1
            self._others.append(Outgoing(topics.ITEMS, result.item_id.encode(), self._encode(result)))
        else:
            self.events += 1
            self._keys.append(result.user_id.encode())
            self._values.append(self._encode(result))
        if len(self._keys) + len(self._others) >= self._batch:
            await self._send()

    async def flush(self) -> None:
        """Send what is left; returns when all is delivered."""
        await self._send()
        if self._under_way is not None:
            await self._under_way
            self._under_way = None

    async def _send(self) -> None:
        # The next batch is read and encoded while this one is under way.
        batch = self._messages()
        if self._under_way is not None:
            await self._under_way
            self._under_way = None
        if batch:
            self._under_way = asyncio.create_task(self._sink.send(messages=batch))
            await asyncio.sleep(0)

    def _messages(self) -> list[Outgoing]:
        places = partition_ids(Texts.of(self._keys), self._settings.partitions).tolist()
        # Facts first: an event may be about an item that they introduce.
        batch = self._others + [
            Outgoing(topics.EVENTS, key, value, place)
            for key, value, place in zip(self._keys, self._values, places, strict=True)
        ]
        self._keys, self._values, self._others = [], [], []
        return batch
