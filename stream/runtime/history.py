"""Events of a file, counted as if they had come before everything that the log holds."""

from __future__ import annotations

import msgspec

from stream.engine import Engine
from stream.events.decode import to_ms
from stream.events.records import LogRecord, Refused
from stream.events.types import AnyEvent
from stream.runtime.clock import now_ms
from stream.runtime.held import Held
from stream.runtime.sole_worker import SoleWorker
from stream.runtime.topics import EVENTS, ITEM_UPDATES
from stream.state.hashing import partition_ids
from stream.state.texts import Texts

BATCH = 16_384
"""Events counted at once: two thousand a partition."""


class History:
    """Opens all units of `engine` and counts in them what is not left to the log.

    Left to the log are events that it holds (`in_log`), and those at or after `until_ms` (`after_until`).
    No id holds a control character: readers see to that.
    Every record is stamped with the present, as if the file were written to `events` now, so the same events
    are refused for their time. `counted` are events handed to the units, `refused` those that they refused.
    """

    def __init__(self, engine: Engine, partitions: int, held: Held, until_ms: int | None = None) -> None:
        self.counted = self.in_log = self.after_until = self.not_before_log = 0
        self._held = held
        self._until_ms = until_ms
        self._partitions = partitions
        for partition in range(partitions):
            engine.open_items(partition, 0)
            engine.open_shoppers(partition, 0)
        following = {(log, partition): 0 for log in (EVENTS, ITEM_UPDATES) for partition in range(partitions)}
        self._worker = SoleWorker(engine, partitions, following)
        self._waiting: list[AnyEvent] = []
        self._encode = msgspec.json.Encoder().encode

    def add(self, event: AnyEvent) -> list[Refused]:
        """Take in one event; what of the batch that it completes was refused."""
        self._waiting.append(event)
        return self.flush() if len(self._waiting) >= BATCH else []

    def flush(self) -> list[Refused]:
        """Count what waits; what of it was refused. About 8 µs an event."""
        events, self._waiting = self._kept(self._waiting), []
        if not events:
            return []
        self.counted += len(events)
        keys = [event.user_id.encode() for event in events]
        places = partition_ids(Texts.of(keys), self._partitions)
        time_ms, refused = now_ms(), list[Refused]()
        logs: list[list[LogRecord]] = [[] for _ in range(self._partitions)]
        for partition, key, event in zip(places.tolist(), keys, events, strict=True):
            offset = self._worker.next[EVENTS, partition]
            self._worker.next[EVENTS, partition] += 1
            logs[partition].append(LogRecord(offset, time_ms, key, self._encode(event)))
        for partition, records in enumerate(logs):
            if records:
                refused += self._worker.events(partition, records)
        self.counted -= len(refused)
        return refused

    def _kept(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Those that are not left to the log."""
        held = self._held.has([event.user_id for event in events], [event.event_id for event in events])
        self.in_log += int(held.sum())
        kept = [event for event, known in zip(events, held.tolist(), strict=True) if not known]
        first_ms, until_ms = self._held.first_ms, self._until_ms
        if first_ms is None and until_ms is None:
            return kept
        times = [to_ms(event.ts) for event in kept]
        self.not_before_log += sum(first_ms is not None and ts_ms >= first_ms for ts_ms in times)
        if until_ms is None:
            return kept
        kept = [event for event, ts_ms in zip(kept, times, strict=True) if ts_ms < until_ms]
        self.after_until += len(times) - len(kept)
        return kept
