"""Fetching what other workers published of their items, for ranking here."""

from __future__ import annotations

import asyncio
import logging

from stream.runtime.engine_thread import EngineThread
from stream.runtime.redis_sink import RedisSink
from stream.runtime.stages import Engine

log = logging.getLogger(__name__)

EVERY_S = 0.05
AT_ONCE = 200
"""Items fetched at once. At 10 µs each to take over, 4,000 items a second cost 4 % of the time."""


class Neighbours:
    """A loop beside the lanes: ranking never waits for it, and uses what was fetched last."""

    def __init__(self, engine: Engine, thread: EngineThread, redis: RedisSink) -> None:
        self._engine = engine
        self._thread = thread
        self._redis = redis

    async def run(self) -> None:
        """Fetch what is wanted, for ever. While Redis is away, lists are made from what is known."""
        while True:
            await asyncio.sleep(EVERY_S)
            ids = await self._thread.call(self._engine.wanted, AT_ONCE)
            if not ids:
                continue
            try:
                similar = await self._redis.read("similar", ids)
                together = await self._redis.read("together", ids)
            except OSError as error:
                log.debug("Neighbours were not fetched: %s", error)
                continue
            await self._thread.call(self._adopt, ids, similar, together)

    def _adopt(self, ids: list[bytes], similar: list[bytes | None], together: list[bytes | None]) -> None:
        for item_id, viewed, bought in zip(ids, similar, together, strict=True):
            refused = self._engine.adopt(item_id, viewed, bought)
            if refused is not None:
                log.warning("%s", refused)
