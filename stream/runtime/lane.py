"""The path of a batch through one stage: apply, deliver, acknowledge, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from stream.effects import Effects
from stream.runtime.freshness import Freshness
from stream.runtime.outbox import Outbox
from stream.runtime.stages import Stage
from stream.runtime.telemetry.histogram import BATCH_EDGES, Histogram
from stream.runtime.transport import Consumer
from stream.runtime.units import Units

WAITING = 2
"""Batches that may wait for delivery: what a rebalance waits for, and as many lists in memory."""


class _Applied(NamedTuple):
    epoch: int
    event: Any
    effects: asyncio.Task[Effects | None]


class Lane:
    """One stage's pipeline, fed by its agent.

    While effects are on their way, further batches are applied and wait; all that wait are delivered
    together (a delivery has a price of its own, which small batches would pay one by one). The engine is
    given the next batch before it is done with the last, so it never waits for the loop. A batch is
    acknowledged only after all of its effects are delivered, and after those before it.
    """

    def __init__(
        self,
        stage: Stage,
        units: Units,
        outbox: Outbox,
        fail: Callable[[BaseException], None],
        freshness: Freshness | None = None,
    ) -> None:
        self.stage = stage
        self.batches = 0
        self.records = 0
        self.batch_records = Histogram(BATCH_EDGES)
        self._units = units
        self._outbox = outbox
        self._fail = fail
        self._freshness = freshness
        self._waiting: asyncio.Queue[_Applied] = asyncio.Queue(WAITING)
        self._delivery: asyncio.Task[int] | None = None
        self._epoch = 0
        self._halted = False

    async def take(self, event: Any) -> None:
        """Have one batch applied (a Faust event of our transport), its effects to be handed on."""
        if self._halted:
            return self._forget(event)
        effects = asyncio.create_task(self._units.apply(event.message.tp, event.value))
        # Tasks begin in the order they are made, so the engine gets batches in the order they came.
        await self._waiting.put(_Applied(self._epoch, event, effects))

    async def run(self) -> None:
        """Deliver and acknowledge what `take` hands on, for ever."""
        following: _Applied | None = None
        while True:
            first = following or await self._waiting.get()
            following = None
            await asyncio.wait((first.effects,))
            group = [first]
            while not self._waiting.empty() and following is None:
                following = self._waiting.get_nowait()
                if following.effects.done():
                    group.append(following)
                    following = None
            await self._hand_on(group)

    async def _hand_on(self, group: list[_Applied]) -> None:
        ready: list[tuple[_Applied, Effects]] = []
        for applied in group:
            effects = self._effects(applied)
            if effects is None:
                self._forget(applied.event)
            elif self._halted or applied.epoch != self._epoch:
                # What was abandoned while it waited stands before what came after.
                await self._close(applied)
            else:
                ready.append((applied, effects))
        readable_ms = await self._delivered(ready) if ready else None
        for applied, effects in ready:
            if readable_ms is None:
                await self._close(applied)
                continue
            applied.event.ack()
            records = applied.event.value
            self.batches += 1
            self.records += len(records)
            self.batch_records.observe(len(records))
            if self._freshness is not None:
                self._freshness.delivered(records, effects.event_ts_ms, readable_ms)

    def _effects(self, applied: _Applied) -> Effects | None:
        try:
            return applied.effects.result()
        except Exception as error:
            self._halt(error)
            return None

    async def _close(self, applied: _Applied) -> None:
        """The unit is ahead of what was delivered: it is to be restored before it is used again."""
        await self._units.close(applied.event.message.tp)
        self._forget(applied.event)

    def abandon(self) -> None:
        """Give up what is not delivered: it is not acknowledged, and its units are closed."""
        self._epoch += 1
        if self._delivery is not None:
            self._delivery.cancel()

    async def _delivered(self, ready: list[tuple[_Applied, Effects]]) -> int | None:
        """When the effects could be read, epoch ms; None when they were not delivered."""
        epoch = self._epoch
        places = [(effects, applied.event.message) for applied, effects in ready]
        self._delivery = asyncio.create_task(
            self._outbox.deliver([(effects, at.topic, at.partition) for effects, at in places]),
            name=f"{self.stage.name} delivery",
        )
        try:
            return await self._delivery
        except asyncio.CancelledError:
            if epoch == self._epoch:
                self._delivery.cancel()
                raise
            return None
        except Exception as error:
            self._halt(error)
            return None
        finally:
            self._delivery = None

    def _halt(self, error: Exception) -> None:
        """The batch stays unacknowledged, and nothing after it may be: only a restart goes on."""
        self._halted = True
        self._fail(error)

    @staticmethod
    def _forget(event: Any) -> None:
        consumer: Consumer = event.app.consumer
        consumer.forget(event.message)
