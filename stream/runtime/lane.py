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


class _Applied(NamedTuple):
    epoch: int
    event: Any
    effects: Effects


class Lane:
    """One stage's pipeline, fed by its agent.

    While the effects of one batch are on their way, the next batch is applied, and one more waits between
    the two; a batch is acknowledged only after all of its effects are delivered, and after those before it.
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
        self._waiting: asyncio.Queue[_Applied] = asyncio.Queue(1)
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
            applied = await self._waiting.get()
            event = applied.event
            if await self._delivered(applied):
                event.ack()
                if self._freshness is not None:
                    done_ms = now_ms()
                    self._freshness.add([done_ms - record.timestamp for record in event.value], done_ms)
            else:
                self._units.close(event.message.tp)
                self._forget(event)

    def abandon(self) -> None:
        """Give up what is not delivered: it is not acknowledged, and its units are closed."""
        self._epoch += 1
        if self._delivery is not None:
            self._delivery.cancel()

    async def _delivered(self, applied: _Applied) -> bool:
        if self._halted or applied.epoch != self._epoch:
            return False
        message = applied.event.message
        self._delivery = asyncio.create_task(
            self._outbox.deliver(applied.effects, message.topic, message.partition),
            name=f"{self.stage.name} delivery",
        )
        try:
            await self._delivery
        except asyncio.CancelledError:
            if applied.epoch == self._epoch:
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
