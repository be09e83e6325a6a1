"""Redis filled again from the durable state, while workers go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

from stream.effects import Values
from stream.engine import Engine
from stream.refill import Refill
from stream.runtime.backup import Told
from stream.runtime.bystander import inform, restore
from stream.runtime.clock import now_ms
from stream.runtime.compacted import latest
from stream.runtime.log_reader import LogReader
from stream.runtime.redis_sink import RedisSink
from stream.runtime.settings import Settings
from stream.runtime.topics import OF_KIND

_PRICES_AT_ONCE = 200


async def rebuild(
    settings: Settings, engine: Engine, redis: RedisSink, seen_ms: int, values_per_s: float, told: Told
) -> dict[str, Any]:
    """Write every value to Redis again, at most `values_per_s`; a summary.

    `engine` is new and holds the state of all partitions; `redis` is started. Nothing goes to topics. Values
    carry the versions of the state that they are made of, so that one which a worker has written meanwhile
    stays. Raises `StateError` when there is no state.
    """
    await inform(settings, engine)
    await restore(settings, engine)
    async with LogReader(settings) as reader:
        prices = (await latest(settings, reader, [OF_KIND["price"]]))[OF_KIND["price"]]
    refill = Refill(engine, seen_ms)
    clock = asyncio.get_running_loop().time
    began, done, counts = clock(), 0, dict.fromkeys(OF_KIND, 0)
    for step, values in _steps(refill, prices):
        await redis.write(values)
        done += step
        for some in values:
            counts[some.kind] = counts.get(some.kind, 0) + len(some.ids)
        told(done, refill.total)
        await asyncio.sleep(max(0.0, began + sum(counts.values()) / values_per_s - clock()))
    return {
        **counts,
        "written": redis.counts.written,
        "newer_there": redis.counts.refused,
        "seconds": round(clock() - began, 3),
    }


def _steps(refill: Refill, prices: dict[bytes, bytes | None]) -> Iterator[tuple[int, list[Values]]]:
    left = ((item, price) for item, price in prices.items() if price)
    while some := list(islice(left, _PRICES_AT_ONCE)):
        yield 0, [Values.of("price", [item for item, _ in some], [price for _, price in some])]
    yield from refill.steps(now_ms())
