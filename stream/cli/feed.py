"""Event files through the engine in this process: what `replay` and `evaluate` have in common.

Every record carries its event's own time as its Kafka timestamp, as if each had been written when it
happened; so logs of any age pass the decoder's bounds, and two runs give the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from stream.config import EngineConfig
from stream.effects import Effects
from stream.events.decode import to_ms
from stream.events.readers import ReadResult, read, size_bytes
from stream.events.records import LogRecord
from stream.events.types import AnyEvent, Item
from stream.pipeline import Pipeline


class Feed:
    """A pipeline, and the log that is written to it. About 1 µs an event for encoding it."""

    def __init__(self, config: EngineConfig | None = None, at_once: bool = False) -> None:
        self.pipeline = Pipeline(config or EngineConfig(), at_once=at_once)
        self.clock_ms = 0
        self._waiting: list[LogRecord] = []
        self._offset = 0
        self._encode = msgspec.json.Encoder().encode

    def item(self, item: Item) -> None:
        """Facts of an item: known to the engine at once."""
        self.pipeline.engine.control("items", item.item_id.encode(), self._encode(item))

    def event(self, event: AnyEvent) -> int:
        """Append an event to the batch that `flush` pushes; its offset."""
        ts_ms = to_ms(event.ts)
        self.clock_ms = max(self.clock_ms, ts_ms)
        record = LogRecord(self._offset, ts_ms, event.user_id.encode(), self._encode(event))
        self._waiting.append(record)
        self._offset += 1
        return record.offset

    @property
    def waiting(self) -> int:
        """Events appended since the last `flush`."""
        return len(self._waiting)

    def flush(self) -> Effects:
        """Push what waits as one batch; the effects that leave the system."""
        effects = self.pipeline.push(self._waiting, self.clock_ms)
        self._waiting.clear()
        return effects

    def freeze(self) -> None:
        """Learn no more of items, of popularity and of what ranks best (`Pipeline.freeze`)."""
        self.pipeline.freeze(self.clock_ms)

    def drain(self) -> Effects:
        """Everything that is still due: item lists and prices whose counts changed, late first lists."""
        return self.pipeline.drain(self.clock_ms)


def read_all(
    files: Sequence[Path], format: str, mapping: Path | None, on_bytes: Callable[[int], None]
) -> Iterator[ReadResult]:
    """What the files hold, one after the other; `on_bytes` counts over all of them."""
    before = 0

    def told(done: int) -> None:
        on_bytes(before + done)

    for file in files:
        yield from read(file, format, mapping, told)
        before += size_bytes(file)


def total_bytes(files: Sequence[Path]) -> int:
    """Size of all files; InputError where one is missing."""
    return sum(size_bytes(file) for file in files)
