"""The path of records through one stage: gathered, applied, delivered, acknowledged, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from faust.types import TP

from stream.effects import Effects
from stream.events.block import chained
from stream.runtime.clock import now_ms
from stream.runtime.freshness import Freshness
from stream.runtime.outbox import Outbox
from stream.runtime.stages import Stage
from stream.runtime.telemetry.histogram import BATCH_EDGES, STEP_EDGES_S, Histogram
from stream.runtime.transport import Consumer
from stream.runtime.units import Parts, Units

WAITING_RECORDS = 12_000
"""Records that may be on their way: what a rebalance waits for, and as many lists in memory."""
BATCH_RECORDS = 6_000
"""Most of a batch, but for a single fetch that is larger: some .15 s of the engine's time when it has more to
do than it can. With 2,000 each partition's part is so short that 8 to 15 % of the rate go by between them."""
AHEAD = 2
"""Full batches that the engine is given at once, so that it never waits for the loop. One that is not full
would only wait there, and what comes meanwhile behind it: it goes on growing instead."""


class _Batch(NamedTuple):
    epoch: int
    events: list[Any]
    parts: Parts
    effects: asyncio.Task[list[Effects | None]]


class Lane:
    """One stage's pipeline, fed by its agent.

    Small batches are dear: each has a price of its own in the engine, in the exchange and at the delivery. So
    what is fetched while the engine is busy is gathered into one batch, and all batches that it is done with
    while a delivery is on its way are delivered together. With little to do nothing waits. A fetch is
    acknowledged only after all of its batch's effects are delivered, and after those before it.

    With more than `backlog_records` unread (0: never) the engine is told that it works on a backlog.
    `seconds` are those of a fetch, `poll` (from the broker's time of its first record until it is taken), of
    a batch, `compute` (until the engine, to which it was given, is done with it), and of a delivery.
    """

    def __init__(
        self,
        stage: Stage,
        units: Units,
        outbox: Outbox,
        fail: Callable[[BaseException], None],
        freshness: Freshness | None = None,
        backlog_records: int = 0,
    ) -> None:
        self.stage = stage
        self.batches = 0
        self.records = 0
        self.batch_records = Histogram(BATCH_EDGES)
        self.seconds = {step: Histogram(STEP_EDGES_S) for step in ("poll", "compute", "deliver")}
        self._units = units
        self._outbox = outbox
        self._fail = fail
        self._freshness = freshness
        self._backlog_records = backlog_records
        self._gathered: deque[Any] = deque()
        self._in_engine = 0
        self._waiting: asyncio.Queue[_Batch] = asyncio.Queue()
        self._on_their_way = 0
        self._room = asyncio.Event()
        self._delivery: asyncio.Task[int] | None = None
        self._epoch = 0
        self._generation = self._given_up = -1
        self._halted = False

    # -- gathering -------------------------------------------------------------------------------

    async def take(self, event: Any) -> None:
        """Have one fetch applied (a Faust event of our transport), its effects to be handed on.

        Returns when there is room for the next.
        """
        self._generation = event.message.generation_id
        if self._halted or self._generation == self._given_up:
            return self._forget([event])
        oldest_ms = min(records[0].timestamp for _, records in event.value)
        self.seconds["poll"].observe(max(now_ms() - oldest_ms, 0) / 1000)
        self._on_their_way += _size(event.value)
        self._gathered.append(event)
        self._submit()
        while self._on_their_way >= WAITING_RECORDS:
            self._room.clear()
            await self._room.wait()

    def _submit(self) -> None:
        """Give the engine what has been fetched, unless it has enough to do."""
        most = AHEAD if sum(_size(event.value) for event in self._gathered) >= BATCH_RECORDS else 1
        if not self._gathered or self._in_engine >= most:
            return
        events = [self._gathered.popleft()]
        size = _size(events[0].value)
        while self._gathered and size + _size(self._gathered[0].value) <= BATCH_RECORDS:
            events.append(self._gathered.popleft())
            size += _size(events[-1].value)
        parts = events[0].value if len(events) == 1 else _merged(event.value for event in events)
        self._in_engine += 1
        # Tasks begin in the order they are made, so the engine gets batches in the order they came.
        effects = asyncio.create_task(self._compute(parts, self._is_behind(events[0])))
        self._waiting.put_nowait(_Batch(self._epoch, events, parts, effects))

    def _is_behind(self, event: Any) -> bool:
        consumer: Consumer = event.app.consumer
        return 0 < self._backlog_records < consumer.unread(event.message.topic)

    async def _compute(self, parts: Parts, behind: bool) -> list[Effects | None]:
        try:
            with self.seconds["compute"].timed():
                return await self._units.apply(parts, behind)
        finally:
            self._in_engine -= 1
            self._submit()

    # -- handing on ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver and acknowledge what the engine is done with, for ever."""
        following: _Batch | None = None
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

    async def _hand_on(self, group: list[_Batch]) -> None:
        # Before the delivery, so that meanwhile as much may come again.
        self._on_their_way -= sum(_size(batch.parts) for batch in group)
        self._room.set()
        ready: list[tuple[_Batch, list[Effects | None]]] = []
        for batch in group:
            effects = self._effects(batch)
            if effects is None or all(each is None for each in effects):
                self._forget(batch.events)
            elif self._halted or batch.epoch != self._epoch:
                # What was abandoned while it waited stands before what came after.
                await self._close(batch)
            else:
                ready.append((batch, effects))
        readable_ms = await self._delivered(ready) if ready else None
        for batch, effects in ready:
            if readable_ms is None:
                await self._close(batch)
            elif None in effects:
                # A unit that is not open has left, or is to be restored: to read again does no harm.
                self._forget(batch.events)
            else:
                self._acknowledge(batch, effects, readable_ms)

    def _acknowledge(self, batch: _Batch, effects: Iterable[Effects | None], readable_ms: int) -> None:
        for event in batch.events:
            event.ack()
        self.batches += 1
        self.records += _size(batch.parts)
        self.batch_records.observe(_size(batch.parts))
        if self._freshness is not None:
            records = [records for _, records in batch.parts]
            event_ts_ms = [ts_ms for each in effects if each for ts_ms in each.event_ts_ms]
            self._freshness.delivered(records, event_ts_ms, readable_ms)

    def _effects(self, batch: _Batch) -> list[Effects | None] | None:
        try:
            return batch.effects.result()
        except Exception as error:
            self._halt(error)
            return None

    async def _delivered(self, ready: list[tuple[_Batch, list[Effects | None]]]) -> int | None:
        """When the effects could be read, epoch ms; None when they were not delivered."""
        epoch = self._epoch
        every = [
            (effects, tp.topic, tp.partition)
            for batch, found in ready
            for (tp, _), effects in zip(batch.parts, found, strict=True)
            if effects is not None
        ]
        self._delivery = asyncio.create_task(self._outbox.deliver(every), name=f"{self.stage.name} delivery")
        try:
            with self.seconds["deliver"].timed():
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

    # -- giving up -------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Give up what is not delivered: it is not acknowledged, and its units are closed.

        Nor is anything taken any more before a rebalance has put the units right: a unit is then ahead of
        what was delivered, and to acknowledge what comes after would lose what lies between.
        """
        self._epoch += 1
        self._given_up = self._generation
        self._on_their_way -= sum(_size(event.value) for event in self._gathered)
        self._forget(self._gathered)
        self._gathered.clear()
        self._room.set()
        if self._delivery is not None:
            self._delivery.cancel()

    async def _close(self, batch: _Batch) -> None:
        """Its units are ahead of what was delivered: they are to be restored before they are used again."""
        for tp, _ in batch.parts:
            await self._units.close(tp)
        self._forget(batch.events)

    def _halt(self, error: Exception) -> None:
        """The batch stays unacknowledged, and nothing after it may be: only a restart goes on."""
        self._halted = True
        self._fail(error)

    @staticmethod
    def _forget(events: Iterable[Any]) -> None:
        for event in events:
            consumer: Consumer = event.app.consumer
            consumer.forget(event.message)


def _size(parts: Parts) -> int:
    return sum(len(records) for _, records in parts)


def _merged(fetches: Iterable[Parts]) -> Parts:
    """The records of several fetches, by partition, in their order."""
    merged: dict[TP, list[Sequence[Any]]] = {}
    for parts in fetches:
        for tp, records in parts:
            merged.setdefault(tp, []).append(records)
    return [(tp, chained(some)) for tp, some in merged.items()]
