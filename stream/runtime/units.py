"""The units of state that this worker holds: opened and restored on assignment, closed when they leave."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from faust.types import TP

from stream.effects import Effects
from stream.errors import RetentionError
from stream.runtime.clock import now_ms
from stream.runtime.commits import Committed
from stream.runtime.engine_thread import EngineThread
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.stages import Stage
from stream.runtime.telemetry.histogram import RESTORE_EDGES_S, STEP_EDGES_S, Histogram
from stream.runtime.transport import lost_sentence
from stream.runtime.trial import Trial
from stream.runtime.trouble import Trouble
from stream.runtime.unit import Unit

log = logging.getLogger(__name__)

BUCKETS_AT_ONCE = 16
"""Saved buckets read in one go: some megabytes."""


Parts = Sequence[tuple[TP, Sequence[Any]]]
"""Records by partition."""


class Group(Protocol):
    """What the units ask of the consumer group."""

    @property
    def lineages(self) -> dict[TP, int]: ...
    @property
    def troubles(self) -> dict[TP, Trouble]: ...
    @property
    def opened(self) -> dict[TP, int]: ...
    async def committed(self, tps: list[TP]) -> dict[TP, Committed | None]: ...
    async def commit_now(self, offsets: Mapping[TP, int]) -> bool: ...
    async def note(self, tp: TP, change: Callable[[Trouble], Trouble]) -> bool: ...


Deliver = Callable[[Sequence[tuple[Effects, str, int]]], Awaitable[object]]


class Units:
    """All units of this worker. They change in the engine's thread only.

    `seconds` are those of the engine by step and stage; `replayed` counts records by stage. `deliver` takes
    what a restore has to tell: nothing, unless it is then that a record is first left out.
    """

    def __init__(
        self,
        settings: Settings,
        stages: Iterable[Stage],
        thread: EngineThread,
        deliver: Deliver | None = None,
    ) -> None:
        self._settings = settings
        self._thread = thread
        self._deliver = deliver
        self._group: Group
        self._loop: asyncio.AbstractEventLoop
        self._stages = {settings.topic(stage.topic): stage for stage in stages}
        self._units: dict[TP, Unit] = {}
        self.seconds = {
            (step, stage.name): Histogram(STEP_EDGES_S)
            for stage in self._stages.values()
            for step in ("apply", "save")
            if step == "apply" or stage.state
        }
        self.restore_seconds = Histogram(RESTORE_EDGES_S)
        self.replayed: Counter[str] = Counter()

    def get(self, tp: TP) -> Unit | None:
        """The open unit of a partition."""
        return self._units.get(tp)

    def items(self) -> list[tuple[TP, Unit]]:
        """Every open unit."""
        return list(self._units.items())

    def places(self) -> dict[str, list[int]]:
        """The partitions that are held, by stage."""
        found: dict[str, list[int]] = {}
        for tp, unit in sorted(self.items()):
            found.setdefault(unit.stage.name, []).append(tp.partition)
        return found

    async def apply(self, parts: Parts, behind: bool = False) -> list[Effects | None]:
        """Apply what the units have not seen of each partition's records, all of one topic.

        `behind`: they are part of a backlog. None where no such unit is open.
        """
        return await self._thread.call(self._apply_all, parts, behind)

    async def close(self, tp: TP) -> None:
        """Forget a unit, if open: its partition has left, or its state is ahead of what was delivered."""
        await self._thread.call(self._close, tp)

    async def assign(self, assigned: Iterable[TP], group: Group, current: Callable[[], bool]) -> bool:
        """Make the open units those of `assigned`, each exactly where the group has committed.

        To be called with the flow stopped, after every rebalance.
        A unit that stands there already is kept. Any other is opened with what was saved of it and replayed
        silently from the least position of its buckets. Returns False as soon as `current()` says that
        another rebalance has begun.
        Raises `RetentionError` when the log no longer holds what was not read yet.
        """
        order = list(self._stages)
        mine = sorted(
            (tp for tp in assigned if tp.topic in self._stages), key=lambda tp: (order.index(tp.topic), tp)
        )
        for tp in set(self._units) - set(mine):
            await self.close(tp)
        self._group, self._loop = group, asyncio.get_running_loop()
        group.lineages.clear()
        group.troubles.clear()
        group.opened.clear()
        if not mine:
            return True
        began_s = time.perf_counter()
        committed = await group.committed(mine)
        async with LogReader(self._settings) as reader:
            beginnings, ends = await reader.beginnings(mine), await reader.ends(mine)
            places = {tp: self._place(tp, beginnings[tp], committed[tp]) for tp in mine}
            moved = [tp for tp in mine if not self._stands(tp, places[tp])]
            for tp in moved:
                places[tp] = places[tp]._replace(trouble=places[tp].trouble.opened())
            group.lineages.update((tp, place.lineage_ms) for tp, place in places.items())
            group.troubles.update((tp, place.trouble) for tp, place in places.items())
            created = {tp: place.offset for tp, place in places.items() if committed[tp] != place}
            if created and not await group.commit_now(created):
                return False
            if moved:
                log.info("Restoring.", extra={"partitions": [f"{tp.topic}-{tp.partition}" for tp in moved]})
            starts = await self._load(moved, beginnings, ends, places, reader)
            reader.open({tp: start for tp, start in starts.items() if start < places[tp].offset})
            for tp, start in starts.items():
                if not current():
                    return False
                if not await self._replay(tp, start, places[tp], reader, current):
                    return False
            # All that was to be read of these is: whatever ends a worker from here on, it is not that.
            done = {tp: places[tp].offset for tp in moved if places[tp].offset >= ends[tp]}
            group.troubles.update((tp, group.troubles[tp].cleared()) for tp in done)
            if done and not await group.commit_now(done):
                return False
        group.opened.update((tp, place.offset) for tp, place in places.items())
        if moved and current():
            self.restore_seconds.observe(time.perf_counter() - began_s)
        return current()

    def _stands(self, tp: TP, place: Committed) -> bool:
        unit = self._units.get(tp)
        return unit is not None and (unit.next_offset, unit.lineage_ms) == place[:2]

    def _place(self, tp: TP, begin: int, stand: Committed | None) -> Committed:
        """Where the unit has to stand, with its lineage: a new one where the group has none."""
        if stand is None:
            if begin:
                log.warning(
                    "History of %s-%d before offset %d is gone: it starts without.",
                    tp.topic,
                    tp.partition,
                    begin,
                )
            return Committed(begin, now_ms())
        if begin > stand.offset:
            raise RetentionError(lost_sentence(tp, stand.offset, begin))
        return stand._replace(lineage_ms=stand.lineage_ms or now_ms())

    async def _load(
        self,
        tps: list[TP],
        beginnings: Mapping[Any, int],
        ends: Mapping[Any, int],
        places: Mapping[TP, Committed],
        reader: LogReader,
    ) -> dict[TP, int]:
        """Open units and load what was saved of them; the offset from which each is to be replayed."""
        started_ms = now_ms()
        saved = await self._saved(tps, reader)
        starts: dict[TP, int] = {}
        for tp in tps:
            begin, place = beginnings[tp], places[tp]
            start = await self._thread.call(self._open, tp, place.lineage_ms, saved[tp])
            if 0 < start < begin:
                raise RetentionError(lost_sentence(tp, start, begin))
            if start < begin < place.offset:
                log.warning(
                    "State of %s-%d is partial: Kafka has no records of it before offset %d any more.",
                    tp.topic,
                    tp.partition,
                    begin,
                )
            starts[tp] = self._units[tp].next_offset = min(max(start, begin), place.offset)
            trouble = self._group.troubles[tp] = place.trouble.pruned(starts[tp])
            self._units[tp].trial.begin(trouble.plan(starts[tp], ends[tp]))
        if tps:
            buckets = sum(map(len, saved.values()))
            log.info("Loaded saved state.", extra={"buckets": buckets, "ms": now_ms() - started_ms})
        return starts

    async def _saved(self, tps: list[TP], reader: LogReader) -> dict[TP, list[bytes]]:
        """The last saved value of every bucket, by unit."""
        topics = {tp: self._stages[tp.topic].state for tp in tps}
        states = {tp: (self._settings.topic(name), tp.partition) for tp, name in topics.items() if name}
        ends = await reader.ends(states.values()) if states else {}
        filled = {tp: place for tp, place in states.items() if ends[place]}
        found: dict[TP, list[bytes]] = {tp: [] for tp in tps}
        if not filled:
            # A consumer that is stopped without ever having had partitions may never end.
            return found
        async with LogReader(self._settings) as states_reader:
            states_reader.open(dict.fromkeys(filled.values(), 0))
            for tp, place in filled.items():
                last: dict[bytes, bytes] = {}
                async for records in states_reader.read(place, ends[place], BUCKETS_AT_ONCE):
                    last.update((record.key, record.value) for record in records if record.value)
                found[tp] = list(last.values())
        return found

    async def _replay(
        self, tp: TP, start: int, place: Committed, reader: LogReader, current: Callable[[], bool]
    ) -> bool:
        """Whether it came to its end: another rebalance may be faster, and the unit is closed then."""
        if start == place.offset:
            return True
        started_ms = now_ms()
        async for records in reader.read(tp, place.offset, self._settings.max_poll_records):
            effects = await self._thread.call(self._apply, tp, records, True)
            self.replayed[self._stages[tp.topic].name] += len(records)
            if effects is None or not current():
                await self.close(tp)
                return False
            if effects.refused and self._deliver is not None:
                await self._deliver([(effects, tp.topic, tp.partition)])
                await self._group.note(tp, partial(Trouble.told, offset=records[-1].offset + 1))
        # Transaction markers may stand between the last record and here.
        self._units[tp].next_offset = place.offset
        log.info(
            "Restored %s-%d.",
            tp.topic,
            tp.partition,
            extra={"replayed": place.offset - start, "ms": now_ms() - started_ms},
        )
        return True

    # In the engine's thread

    def _open(self, tp: TP, lineage_ms: int, saved: list[bytes]) -> int:
        self._close(tp)
        stage = self._stages[tp.topic]
        stage.open(tp.partition, lineage_ms)
        start = stage.restore(tp.partition, saved)
        trial = Trial(tp, partial(self._tell, tp))
        self._units[tp] = Unit(stage, tp.partition, lineage_ms, start, trial)
        return start

    def _close(self, tp: TP) -> None:
        unit = self._units.pop(tp, None)
        if unit is not None:
            unit.stage.close(unit.partition)

    def _apply_all(self, parts: Parts, behind: bool) -> list[Effects | None]:
        self._stages[parts[0][0].topic].in_backlog(behind)
        return [self._apply(tp, records, False) for tp, records in parts]

    def _apply(self, tp: TP, records: Sequence[Any], silent: bool) -> Effects | None:
        unit = self._units.get(tp)
        if unit is None:
            return None
        unseen = unit.unseen(records)
        try:
            effects = self._applied(unit, unseen, silent) if unseen else Effects()
        except Exception:
            # The engine may have changed half of something: nothing of it is used any more.
            self._units.clear()
            raise
        if effects is None:
            self._close(tp)
            return None
        unit.next_offset = max(unit.next_offset, records[-1].offset + 1)
        unit.reached_ms = records[-1].timestamp
        return effects

    def _applied(self, unit: Unit, records: Sequence[Any], silent: bool) -> Effects | None:
        stage = unit.stage
        if silent:
            return unit.trial.apply(stage, records, True)
        with self.seconds["apply", stage.name].timed():
            effects = unit.trial.apply(stage, records, False)
        if effects is None:
            return None
        began_s = time.perf_counter()
        saved = stage.save(unit.partition)
        if saved:
            effects.saved += saved
            self.seconds["save", stage.name].observe(time.perf_counter() - began_s)
        return effects

    def _tell(self, tp: TP, change: Callable[[Trouble], Trouble]) -> bool:
        """Have a partition's trouble committed, and wait for it."""
        return asyncio.run_coroutine_threadsafe(self._group.note(tp, change), self._loop).result()
