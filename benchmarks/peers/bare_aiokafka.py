"""The ceiling: aiokafka's `getmany` and the decoding of every event, and nothing done with it."""

from __future__ import annotations

import asyncio

import msgspec
from aiokafka import AIOKafkaConsumer

from benchmarks.peers.clock import Clock, orders
from stream.events.types import AnyEvent


async def run() -> None:
    """Read and decode every event once."""
    given = orders()
    clock = Clock(given)
    decode = msgspec.json.Decoder(AnyEvent).decode
    consumer = AIOKafkaConsumer(
        given.source,
        bootstrap_servers=given.bootstrap,
        group_id=given.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        while clock.done < given.events:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                clock.begin()
                for record in records:
                    decode(record.value)
                clock.handled(len(records))
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(run())
