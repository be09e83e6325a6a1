"""Reading stretches of partitions without a group, for replay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.structs import TopicPartition

from stream.errors import TopicError
from stream.events.block import until
from stream.runtime.connection import close, kafka_arguments, started
from stream.runtime.fetch import read_in_blocks
from stream.runtime.settings import Settings

FETCH_MAX_WAIT_MS = 20
"""The end of the stretch is known, so an empty fetch need not wait for more."""
FETCH_BYTES = 4 << 20
READ_TIMEOUT_MS = 1000
_TOPIC_WAIT_S = 10.0
"""Brokers tell of a new topic a moment after it was made."""

Place = tuple[str, int]
"""Topic and partition."""


class LogReader:
    """An async context manager around a consumer without a group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer

    async def __aenter__(self) -> Self:
        self._consumer = await started(
            self._settings,
            lambda: AIOKafkaConsumer(
                **kafka_arguments(self._settings),
                enable_auto_commit=False,
                fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
                max_partition_fetch_bytes=FETCH_BYTES,
            ),
        )
        read_in_blocks(self._consumer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await close(self._consumer)

    async def places(self, topic: str) -> list[Place]:
        """All partitions of a topic."""
        return [(tp.topic, tp.partition) for tp in await partitions_of(self._consumer, topic)]

    async def beginnings(self, places: Iterable[Place]) -> dict[Place, int]:
        """First offset that each partition still has."""
        found = await self._consumer.beginning_offsets([TopicPartition(*place) for place in places])
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Offset after the last record of each partition."""
        found = await self._consumer.end_offsets([TopicPartition(*place) for place in places])
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def open(self, starts: Mapping[Place, int]) -> None:
        """Begin to fetch these partitions from these offsets on. To be called once.

        aiokafka may hang on closing otherwise: its fetcher swallows a cancellation between two assignments.
        """
        if starts:
            self._consumer.assign([TopicPartition(*place) for place in starts])
        for place, start in starts.items():
            self._consumer.seek(TopicPartition(*place), start)

    async def read(self, place: Place, stop: int, most: int) -> AsyncIterator[Sequence[Any]]:
        """The records of an opened partition up to offset `stop` (excluded), at most `most` at once.

        The next are unpacked while the caller works on the last.
        """
        tp = TopicPartition(*place)
        following = asyncio.create_task(self._next(tp, stop, most))
        try:
            while (records := await following) is not None:
                following = asyncio.create_task(self._next(tp, stop, most))
                if records:
                    yield records
        finally:
            following.cancel()
        self._consumer.pause(tp)

    async def _next(self, tp: TopicPartition, stop: int, most: int) -> Sequence[Any] | None:
        """The next records, if any came in time; None at the end."""
        # The position, not the last record's offset: transaction markers have offsets but are never seen.
        if await self._consumer.position(tp) >= stop:
            return None
        found = await self._consumer.getmany(tp, timeout_ms=READ_TIMEOUT_MS, max_records=most)
        return until(found.get(tp, ()), stop)


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """All partitions of a topic. Asked for by name: a consumer knows nothing of topics that it is not
    assigned yet. Raises `TopicError` if there is no such topic, as where an older version has made them."""
    await consumer._client.add_topic(topic)
    try:
        async with asyncio.timeout(_TOPIC_WAIT_S):
            await consumer._client._wait_on_metadata(topic)
    except (TimeoutError, UnknownTopicOrPartitionError):
        raise TopicError(
            f"Kafka tells of no topic {topic}: `stream topics create` creates what is missing."
        ) from None
    return [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
