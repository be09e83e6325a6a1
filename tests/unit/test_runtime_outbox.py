"""What is sent when: saved buckets after everything that they imply."""

from __future__ import annotations

import asyncio
from typing import Any

from stream.effects import Effects, Message, Values
from stream.runtime.outbox import Outbox


class Sink:
    """Stands for Kafka and Redis: notes what it is given, and answers when told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answered = {"kafka": asyncio.Event(), "redis": asyncio.Event(), "saved": asyncio.Event()}

    async def send(self, values: Any = (), messages: Any = ()) -> None:
        topics = [message.topic for message in messages]
        name = "saved" if topics == ["shopper-state"] else "kafka"
        self.asked += topics
        await self.answered[name].wait()

    async def write(self, values: Any) -> None:
        self.asked += [f"redis {value.kind}" for value in values]
        await self.answered["redis"].wait()


async def test_saved_buckets_are_sent_only_after_all_else_is_delivered():
    sink = Sink()
    outbox: Any = Outbox(sink, sink)  # type: ignore[arg-type]
    effects = Effects(
        values=[Values.of("recs", [b"u"], [b"{}"])],
        messages=[Message("item-updates", None, b"", 0)],
        saved=[Message("shopper-state", b"0", b"", 0)],
    )
    delivery = asyncio.create_task(outbox.deliver([(effects, "events", 0)]))
    for name in ("kafka", "redis"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sorted(sink.asked) == ["item-updates", "redis recs"]
        sink.answered[name].set()
    await delivery
    while "shopper-state" not in sink.asked:
        await asyncio.sleep(0)
    # The lane goes on; what is saved next waits for its turn.
    again = asyncio.create_task(outbox.deliver([(effects, "events", 0)]))
    for _ in range(10):
        await asyncio.sleep(0)
    assert sink.asked.count("item-updates") == 2
    assert sink.asked.count("shopper-state") == 1
    assert not again.done()
    sink.answered["saved"].set()
    await again
    await outbox.saved()
    assert sink.asked.count("shopper-state") == 2
