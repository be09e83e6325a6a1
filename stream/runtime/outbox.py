"""Carrying out what the core wants to be written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from stream.effects import Effects, Values
from stream.runtime.dead_letters import dead_letters, rekeyed
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.redis_sink import RedisSink


class Outbox:
    """Both sinks behind one call."""

    def __init__(self, kafka: KafkaSink, redis: RedisSink) -> None:
        self.kafka = kafka
        self.redis = redis

    async def deliver(self, many: Iterable[tuple[Effects, str, int]]) -> None:
        """Return when Kafka has every message and Redis has answered every write, in the order given.

        Each with the topic and partition of the records that it refuses or keys anew. Waits while either
        of Kafka and Redis is away; raises `BrokerError` when waiting cannot help.
        """
        values: list[Values] = []
        messages: list[Outgoing] = []
        saved: list[Outgoing] = []
        for effects, topic, partition in many:
            values += effects.values
            messages += [Outgoing(m.topic, m.key, m.value, m.partition) for m in effects.messages]
            saved += [Outgoing(m.topic, m.key, m.value, m.partition) for m in effects.saved]
            messages += dead_letters(effects.refused, topic, partition)
            messages += rekeyed(effects.rekeyed, partition)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self.kafka.send(values, messages))
                both.create_task(self.redis.write(values))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        # Not before: what state holds is not sent again after a restart.
        if saved:
            await self.kafka.send((), saved)
