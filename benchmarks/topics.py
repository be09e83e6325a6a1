"""Topics of one run: made, filled with the log, measured and read back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2

WRITE_BATCH_BYTES = 256 * 1024
"""One produced batch: what a busy producer with a linger of some milliseconds makes."""
SETTLE_TIMEOUT_S = 60.0

Event = tuple[int, bytes, bytes, int]
"""(shopper number, key, value, ts_ms), as `workload.encode` makes them."""


def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's default partitioner: positive murmur2 of the key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


async def create(bootstrap: str, names: Iterable[str], partitions: int) -> None:
    """Create plain topics (replication 1) and wait until every one of them has leaders."""
    wanted = list(names)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1) for name in wanted])
        deadline = asyncio.get_running_loop().time() + SETTLE_TIMEOUT_S
        while True:
            described = await admin.describe_topics(wanted)
            ready = [t for t in described if not t["error_code"] and len(t["partitions"]) == partitions]
            if len(ready) == len(wanted):
                return
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(
                    f"the topics {', '.join(wanted)} had no leader after {SETTLE_TIMEOUT_S:.0f} s"
                )
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def write(bootstrap: str, topic: str, partitions: int, events: Iterable[Event]) -> int:
    """Write events in their order within each partition, uncompressed; returns how many. About 5 µs each."""
    homes: dict[int, int] = {}
    written = 0
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=WRITE_BATCH_BYTES, acks="all")
    await producer.start()
    try:
        builders = [producer.create_batch() for _ in range(partitions)]
        sent: list[asyncio.Future[object]] = []
        for shopper, key, value, ts_ms in events:
            home = homes.get(shopper)
            if home is None:
                home = homes[shopper] = partition_of(key, partitions)
            if builders[home].append(key=key, value=value, timestamp=ts_ms) is None:
                sent.append(await producer.send_batch(builders[home], topic, partition=home))
                builders[home] = producer.create_batch()
                builders[home].append(key=key, value=value, timestamp=ts_ms)
            written += 1
        for home, builder in enumerate(builders):
            if builder.record_count():
                sent.append(await producer.send_batch(builder, topic, partition=home))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return written


class Ends:
    """Asks again and again how many messages topics hold, over one connection."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)

    async def __aenter__(self) -> Ends:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def count(self, topic: str, partitions: int) -> int:
        """Messages ever written to the topic (sum of end offsets)."""
        ends = await self._consumer.end_offsets([TopicPartition(topic, p) for p in range(partitions)])
        return sum(ends.values())


async def read(bootstrap: str, topic: str, partitions: int) -> list[Any]:
    """All records of a topic, in order within each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        every = [TopicPartition(topic, p) for p in range(partitions)]
        ends = await consumer.end_offsets(every)
        consumer.assign(every)
        await consumer.seek_to_beginning(*every)
        found: list[Any] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=1000)).values():
                found += batch
        return found
    finally:
        await consumer.stop()
