"""Carrying out what the core wants to be written."""

from __future__ import annotations

import asyncio

from stream.effects import Effects
from stream.runtime.dead_letters import dead_letters, rekeyed
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.redis_sink import RedisSink


class Outbox:
    """Both sinks behind one call."""

    def __init__(self, kafka: KafkaSink, redis: RedisSink) -> None:
        self.kafka = kafka
        self.redis = redis

    async def deliver(self, effects: Effects, topic: str = "", partition: int = 0) -> None:
        """Return when Kafka has every message and Redis has answered every write.

        `topic` and `partition` say where the records came from that `effects` refuses or keys anew.
        Waits while either of them is away; raises `BrokerError` when waiting cannot help.
        """
        messages = [
            *(Outgoing(m.topic, m.key, m.value, m.partition) for m in effects.messages),
            *dead_letters(effects.refused, topic, partition),
            *rekeyed(effects.rekeyed, partition),
        ]
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self.kafka.send(effects.values, messages))
                both.create_task(self.redis.write(effects.values))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
