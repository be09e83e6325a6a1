"""Closing clients of Kafka."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import NodeNotReadyError
from aiokafka.structs import TopicPartition

from stream.runtime.connection import close


class NoBroker:
    """Kafka's client as the fetcher sees it, while the only broker is away."""

    _metadata_max_age_ms = 1000

    def __init__(self) -> None:
        self.closed = False
        self.asked = asyncio.Event()
        self.cluster = self
        self._loop = asyncio.get_running_loop()

    def leader_for_partition(self, tp: TopicPartition) -> int:
        return 1

    async def send(self, node: int, request: object) -> None:
        self.asked.set()
        raise NodeNotReadyError

    async def close(self) -> None:
        self.closed = True


async def failing_consumer(client: NoBroker) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
    consumer._client = client
    consumer._fetcher = Fetcher(client, consumer._subscription)
    place = TopicPartition("events", 0)
    consumer._subscription.assign_from_user([place])
    consumer._subscription.subscription.assignment.state_value(place).seek(0)
    await client.asked.wait()
    await asyncio.sleep(0)
    return consumer


async def test_a_consumer_whose_fetch_has_just_failed_closes_without_cancelling_who_asked() -> None:
    client = NoBroker()
    await close(await failing_consumer(client))
    assert client.closed


async def test_aiokafka_itself_still_passes_the_cancellation_on() -> None:
    """When this fails, `close` has become needless."""
    client = NoBroker()
    consumer = await failing_consumer(client)
    with pytest.raises(asyncio.CancelledError):
        await consumer.stop()
    assert not client.closed


async def test_what_goes_wrong_in_closing_is_told() -> None:
    client = NoBroker()
    consumer = await failing_consumer(client)
    consumer._fetcher = None

    async def refuse() -> None:
        raise OSError("no")

    client.close = refuse  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no"):
        await close(consumer)
