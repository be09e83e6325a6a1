"""Messages into Kafka: whole batches a partition, every delivery awaited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2 as murmur2_of_bytes
from aiokafka.producer.message_accumulator import BatchBuilder

from stream.effects import Values, merged
from stream.errors import BrokerError
from stream.runtime.clock import now_ms
from stream.runtime.connection import backoff, kafka_arguments, started
from stream.runtime.record_batch import Packed, PackedBatch, pack_records
from stream.runtime.settings import Settings
from stream.runtime.topics import DEAD_LETTER_MAX_BYTES, OF_KIND

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 256 << 10
MAX_REQUEST_BYTES = DEAD_LETTER_MAX_BYTES + (1 << 20)
SIGN_BIT_OFF = 0x7FFFFFFF

Headers = Sequence[tuple[str, bytes]]


class Outgoing(NamedTuple):
    """One message to be sent; `topic` without namespace; partition None: by the key's murmur2."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


_Place = tuple[str, int]
"""Topic and partition."""
_Batches = list[Callable[[], list[BatchBuilder]]]
"""Make the batches for one place, in order: anew for each attempt, as a batch is numbered when it is sent."""


class KafkaSink:
    """An idempotent producer (acks of all replicas) of its own, apart from Faust's.

    A failed delivery is never only logged: `send` returns when everything is delivered, waits while the
    brokers are away, and raises `BrokerError` on what waiting cannot heal.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer
        self._partitions: dict[str, int] = {}
        self._turn = 0
        self.sent = 0
        self.retries = 0
        self.away = False
        """Whether a delivery waits because the brokers do not take it."""

    async def start(self) -> None:
        """Wait until Kafka answers."""
        self._producer = await started(
            self._settings,
            lambda: AIOKafkaProducer(
                **kafka_arguments(self._settings),
                enable_idempotence=True,
                acks="all",
                max_batch_size=MAX_BATCH_BYTES,
                max_request_size=MAX_REQUEST_BYTES,
            ),
        )

    async def stop(self) -> None:
        await self._producer.stop()

    async def send(self, values: Iterable[Values] = (), messages: Iterable[Outgoing] = ()) -> None:
        """Deliver the values that are meant for topics, and `messages`, in order within each partition."""
        sent, batches = 0, dict[_Place, _Batches]()
        for of in merged(each for each in values if each.topic and each.ids):
            await self._pack(batches, of)
            sent += len(of.ids)
        rows: dict[_Place, list[Outgoing]] = {}
        for message in messages:
            topic = self._settings.topic(message.topic)
            partition = message.partition
            if partition is None:
                partition = self._partition(message.key, await self._partition_count(topic))
            rows.setdefault((topic, partition), []).append(message)
            sent += 1
        for place, some in rows.items():
            batches.setdefault(place, []).append(partial(self._batches, some))
        if batches:
            await self._deliver(batches)
            self.sent += sent

    async def _pack(self, batches: dict[_Place, _Batches], values: Values) -> None:
        topic = self._settings.topic(OF_KIND[values.kind])
        count = await self._partition_count(topic)
        places: dict[int, list[Packed]] = {}
        for packed in pack_records(values.ids, values.values, count, MAX_BATCH_BYTES):
            places.setdefault(packed.partition, []).append(packed)
        for partition, some in places.items():
            batches.setdefault((topic, partition), []).append(partial(_packed_batches, some))

    def _batches(self, rows: Iterable[Outgoing]) -> list[BatchBuilder]:
        batch, timestamp = self._producer.create_batch(), now_ms()
        made = [batch]
        for row in rows:
            of = {"timestamp": timestamp, "key": row.key, "value": row.value, "headers": list(row.headers)}
            if batch.append(**of) is None:
                batch = self._producer.create_batch()
                batch.append(**of)
                made.append(batch)
        # A closed batch does not linger: what is to come is not known to come soon.
        batch.close()
        return made

    def _partition(self, key: bytes | None, count: int) -> int:
        if key is None:
            self._turn += 1
            return self._turn % count
        return partition_of(key, count)

    async def _partition_count(self, topic: str) -> int:
        if topic not in self._partitions:
            for wait_s in backoff():
                try:
                    self._partitions[topic] = len(await self._producer.partitions_for(topic))
                    self.away = False
                    break
                except KafkaError as error:
                    await self._pause(error, topic, wait_s)
        return self._partitions[topic]

    async def _deliver(self, batches: dict[_Place, _Batches]) -> None:
        """All at once; those that fail for now again, until none is left."""
        for wait_s in backoff():
            failed = await asyncio.gather(
                *(self._deliver_to(place, some) for place, some in batches.items()), return_exceptions=True
            )
            again: dict[_Place, _Batches] = {}
            for (place, some), error in zip(batches.items(), failed, strict=True):
                if isinstance(error, KafkaError):
                    await self._pause(error, place[0], wait_s)
                    again[place] = some
                elif error is not None:
                    raise error
            if not again:
                self.away = False
                return
            batches = again

    async def _deliver_to(self, place: _Place, batches: _Batches) -> None:
        topic, partition = place
        deliveries = [
            await self._producer.send_batch(batch, topic, partition=partition)
            for make in batches
            for batch in make()
        ]
        for outcome in await asyncio.gather(*deliveries, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _pause(self, error: KafkaError, topic: str, wait_s: float) -> None:
        if isinstance(error, MessageSizeTooLargeError):
            raise BrokerError(
                f"Kafka refuses a message for {topic} as too large: raise max.message.bytes of that topic."
            ) from None
        if not (error.retriable or isinstance(error, KafkaTimeoutError)):
            raise BrokerError(
                f"Kafka refuses messages for {topic} ({error}): check the topic and its ACLs."
            ) from None
        log.warning("Messages for %s are not delivered yet (%s): trying again.", topic, error)
        self.retries += 1
        self.away = True
        await asyncio.sleep(wait_s)


def _packed_batches(some: Iterable[Packed]) -> list[BatchBuilder]:
    timestamp = now_ms()
    return [PackedBatch(packed, timestamp) for packed in some]


def partition_of(key: bytes, count: int) -> int:
    """Kafka's default partition of one key."""
    return int(murmur2_of_bytes(key) & SIGN_BIT_OFF) % count
