"""A shop with a past: its history counted here, and put where the workers that start next begin.

Where history and the live log overlap, what the log holds counts from the log, and all else from the file.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from stream.engine import Engine
from stream.errors import StateError
from stream.events.readers import Bad, ReadResult
from stream.events.records import Refused
from stream.events.types import Item
from stream.runtime.archive import Rows, Saved
from stream.runtime.backup import Told, Unit, saved_of
from stream.runtime.clock import now_ms
from stream.runtime.dead_letters import dead_letters
from stream.runtime.held import Held, held_by_log
from stream.runtime.history import History
from stream.runtime.kafka_sink import KafkaSink
from stream.runtime.seed import Starts, prepare, put
from stream.runtime.settings import Settings
from stream.runtime.topics import EVENTS, ITEMS

_REFUSED_AT_ONCE = 1_000
"""Bad rows that wait to be sent: a file of nothing else must not fill the memory."""


class Bootstrap:
    """One file into state, in three steps, each of which may take long: `look`, `count`, `store`.

    `engine` is new; it needs the memory of one worker that holds all partitions.
    """

    def __init__(self, settings: Settings, engine: Engine, source: str, until_ms: int | None) -> None:
        self._settings = settings
        self._engine = engine
        self._source = source
        self._until_ms = until_ms
        self._starts: Starts
        self._held = Held()
        self._history: History
        self._facts: dict[str, bytes] = {}
        self._refused: Counter[str] = Counter()
        self._count_s = 0.0

    async def look(self, admin: AIOKafkaAdminClient, told: Told) -> None:
        """See where the workers will begin, and which events the log holds.

        Creates missing topics. Raises `StateError` where workers run or have state, `TopicError` where topics
        have other partitions than the settings say.
        """
        self._starts = await prepare(self._settings, admin)
        bounds = self._engine.config.bounds
        self._held = await held_by_log(self._settings, self._starts.events, bounds, told)

    async def count(self, results: Iterable[ReadResult]) -> None:
        """Count what the file holds. Bad rows go to `dead-letters` at once, with their bytes untouched.

        Raises `StateError` where the file goes on as long as the log without a single event in common.
        """
        began_s = time.perf_counter()
        self._history = history = History(self._engine, self._settings.partitions, self._held, self._until_ms)
        encode = msgspec.json.Encoder().encode
        sink, waiting = KafkaSink(self._settings), list[Refused]()
        await sink.start()
        try:
            for result in results:
                if isinstance(result, Bad):
                    waiting.append(result.refused(now_ms()))
                elif isinstance(result, Item):
                    self._facts[result.item_id] = encode(result)
                else:
                    waiting += history.add(result)
                if len(waiting) >= _REFUSED_AT_ONCE:
                    await self._send(sink, waiting)
                    waiting = []
            await self._send(sink, [*waiting, *history.flush()])
        finally:
            await sink.stop()
        self._count_s = time.perf_counter() - began_s
        self._refuse_strangers()

    async def store(self, told: Told) -> dict[str, Any]:
        """Put the state into the topics and commit for the group; a summary.

        Nothing is stored of a file in which nothing could be used.
        """
        history, dead = self._history, sum(self._refused.values())
        if history.counted or history.in_log or history.after_until or self._facts:
            await put(self._settings, self._starts, now_ms(), self._state(told))
        rows = history.counted + history.in_log + history.after_until + dead
        units = self._engine.shopper_units.values()
        return {
            "events": self._engine.metrics.events,
            "left_to_log": {"same_id": history.in_log, "after_until": history.after_until},
            "items": len(self._facts),
            "dead_letters": dead,
            "refused": dict(self._refused),
            "shoppers": sum(len(unit) for unit in units),
            "duplicates": self._engine.metrics.duplicates,
            "log_events": len(self._held),
            "seconds": round(self._count_s, 3),
            "rows_per_s": round(rows / max(self._count_s, 1e-9), 1),
        }

    def _state(self, told: Told) -> Iterator[Rows | Saved]:
        yield from Rows.frames(ITEMS, ((name.encode(), fact) for name, fact in self._facts.items()))
        units: list[Unit] = [*self._engine.item_units.values(), *self._engine.shopper_units.values()]
        yield from saved_of(units, told)

    async def _send(self, sink: KafkaSink, refused: list[Refused]) -> None:
        self._refused.update(one.reason for one in refused)
        await sink.send(messages=dead_letters(refused, self._source, 0))

    def _refuse_strangers(self) -> None:
        """Events that both hold under different ids would count twice, and nothing here could tell."""
        history, first_ms = self._history, self._held.first_ms
        if self._until_ms is not None or first_ms is None or history.in_log or not history.not_before_log:
            return
        first = f"{datetime.fromtimestamp(first_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        raise StateError(
            f"{history.not_before_log} events of {self._source} are no older than the first record of "
            f"{self._settings.topic(EVENTS)} ({first}), which holds none of their ids: if those are the same "
            f"events under other ids, --until {first} leaves them to the log; if not, say a later time."
        )
