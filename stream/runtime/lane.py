"""The path of a batch through one stage: apply, deliver, acknowledge, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from stream.effects import Effects
from stream.runtime.clock import now_ms
from stream.runtime.freshness import Freshness
from stream.runtime.outbox import Outbox
from stream.runtime.stages import Stage
from stream.runtime.transport import Consumer
from stream.runtime.units import Units

WAITING = 2
"""Batches that may wait for delivery: some 2,000 events that a rebalance waits for, and as many
lists in memory."""


class _Applied(NamedTuple):
    epoch: int
    event: Any
    effects: Effects


class Lane:
    """One stage's pipeline, fed by its agent.

    While effects are on their way, further batches are applied and wait; all that wait are delivered
    together (a delivery has a price of its own, which small batches would pay one by one). A batch is
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
        self._units = units
        self._outbox = outbox
        self._fail = fail
        self._freshness = freshness
        self._waiting: asyncio.Queue[_Applied] = asyncio.Queue(WAITING)
        self._delivery: asyncio.Task[None] | None = None
        self._epoch = 0
        self._halted = False

    async def take(self, event: Any) -> None:
        """Apply one batch (a Faust event of our transport) and hand its effects on."""
        message = event.message
        unit = self._units.get(message.tp)
        if unit is None or self._halted:
            return self._forget(event)
        try:
            records = unit.unseen(event.value)
            effects = self.stage.apply(unit.partition, records, now_ms(), False) if records else Effects()
        except Exception as error:
            self._halt(error)
            return self._forget(event)
        unit.next_offset = message.offset + 1
        self.batches += 1
        self.records += len(records)
        await self._waiting.put(_Applied(self._epoch, event, effects))

    async def run(self) -> None:
        """Deliver and acknowledge what `take` hands on, for ever."""
        while True:
            group = [await self._waiting.get()]
            while not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            # What was abandoned while it waited stands before what came after.
            stale = [applied for applied in group if self._halted or applied.epoch != self._epoch]
            group = group[len(stale) :]
            if group and not await self._delivered(group):
                stale, group = stale + group, []
            for applied in stale:
                self._units.close(applied.event.message.tp)
                self._forget(applied.event)
            for applied in group:
                applied.event.ack()
                if self._freshness is not None:
                    done_ms = now_ms()
                    ages = [done_ms - record.timestamp for record in applied.event.value]
                    self._freshness.add(ages, done_ms)

    def abandon(self) -> None:
        """Give up what is not delivered: it is not acknowledged, and its units are closed."""
        self._epoch += 1
        if self._delivery is not None:
            self._delivery.cancel()

    async def _delivered(self, group: list[_Applied]) -> bool:
        epoch = self._epoch
        places = [(applied, applied.event.message) for applied in group]
        self._delivery = asyncio.create_task(
            self._outbox.deliver([(a.effects, at.topic, at.partition) for a, at in places]),
            name=f"{self.stage.name} delivery",
        )
        try:
            await self._delivery
        except asyncio.CancelledError:
            if epoch == self._epoch:
                self._delivery.cancel()
                raise
            return False
        except Exception as error:
            self._halt(error)
            return False
        finally:
            self._delivery = None
        return True

    def _halt(self, error: Exception) -> None:
        """The batch stays unacknowledged, and nothing after it may be: only a restart goes on."""
        self._halted = True
        self._fail(error)

    @staticmethod
    def _forget(event: Any) -> None:
        consumer: Consumer = event.app.consumer
        consumer.forget(event.message)
