"""Carrying out what the core wants to be written."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from stream.effects import Effects, Values
from stream.runtime.clock import now_ms
from stream.runtime.dead_letters import dead_letters, rekeyed
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.redis_sink import RedisSink
from stream.runtime.telemetry.histogram import STEP_EDGES_S, Histogram


class Outbox:
    """Both sinks behind one call.

    It counts what was delivered: dead letters by reason, records that were keyed anew, buckets of state and
    their bytes by topic, seconds by step.
    """

    def __init__(self, kafka: KafkaSink, redis: RedisSink) -> None:
        self.kafka = kafka
        self.redis = redis
        self.dead_letters: Counter[str] = Counter()
        self.rekeyed = 0
        self.saved_buckets: Counter[str] = Counter()
        self.saved_bytes: Counter[str] = Counter()
        self._saving: dict[str, asyncio.Future[None]] = {}
        self.seconds = {step: Histogram(STEP_EDGES_S) for step in ("send", "write", "send_state")}

    @property
    def away(self) -> str | None:
        """Whom a delivery waits for because it does not serve: Kafka or Redis."""
        return "Kafka" if self.kafka.away else "Redis" if self.redis.away else None

    async def deliver(self, many: Sequence[tuple[Effects, str, int]]) -> int:
        """Return when Kafka has every message and Redis has answered every write, in the order given.

        State is sent after that, and is on its way when this returns. Each with the topic and partition of
        the records that it refuses or keys anew. Waits while either of Kafka and Redis is away; raises
        `BrokerError` when waiting cannot help. Returns when Redis had answered, epoch ms.
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
                both.create_task(self._send(values, messages))
                written = both.create_task(self._write(values))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        self._count(many, saved)
        # Not before: what state holds is not sent again after a restart.
        await self._save(saved)
        return written.result()

    async def _save(self, saved: Sequence[Outgoing]) -> None:
        """Have state sent while its lane goes on: nothing waits for it but the next of its topic."""
        for topic in {message.topic for message in saved}:
            if topic in self._saving:
                await self._saving[topic]
            mine = [message for message in saved if message.topic == topic]
            self._saving[topic] = asyncio.ensure_future(self._send_state(mine))

    async def _send_state(self, saved: Sequence[Outgoing]) -> None:
        with self.seconds["send_state"].timed():
            await self.kafka.send((), saved)

    async def saved(self) -> None:
        """Return when Kafka has all state that was handed over."""
        await asyncio.gather(*self._saving.values())

    async def stop(self) -> None:
        """Give up what is on its way."""
        for sending in self._saving.values():
            sending.cancel()
        await asyncio.gather(*self._saving.values(), return_exceptions=True)

    async def _send(self, values: Sequence[Values], messages: Sequence[Outgoing]) -> None:
        if values or messages:
            with self.seconds["send"].timed():
                await self.kafka.send(values, messages)

    async def _write(self, values: Sequence[Values]) -> int:
        if values:
            with self.seconds["write"].timed():
                await self.redis.write(values)
        return now_ms()

    def _count(self, many: Iterable[tuple[Effects, str, int]], saved: Iterable[Outgoing]) -> None:
        for effects, _, _ in many:
            self.dead_letters.update(refused.reason for refused in effects.refused)
            self.rekeyed += len(effects.rekeyed)
        for message in saved:
            self.saved_buckets[message.topic] += 1
            self.saved_bytes[message.topic] += len(message.value or b"")
