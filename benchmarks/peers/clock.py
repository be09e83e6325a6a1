"""How a contender is told what to do and says how long it took."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import msgspec


class Orders(msgspec.Struct, frozen=True):
    """What one contender process is asked to do: one JSON object, its only argument.

    Read `source` (`partitions` partitions, `events` messages in all) from its beginning as `group`,
    write lists to `sink` (as many partitions), and report to the file `report` when all is handled.
    """

    bootstrap: str
    source: str
    sink: str
    group: str
    partitions: int
    events: int
    report: str
    folder: str
    """A private folder for whatever the contender wants to keep on disk."""


def orders() -> Orders:
    """The orders given on the command line."""
    return msgspec.json.decode(sys.argv[1].encode(), type=Orders)


class Clock:
    """Counts handled events; writes the report when the last one is done. About 0.1 µs a call."""

    __slots__ = ("_events", "_report", "_started", "done")

    def __init__(self, given: Orders) -> None:
        self._events = given.events
        self._report = given.report
        self._started = 0.0
        self.done = 0

    def begin(self) -> None:
        """Call when a record (or a batch) arrives, before it is worked on: the first call starts the time."""
        if not self._started:
            self._started = time.perf_counter()

    def handled(self, count: int = 1) -> None:
        """Call when `count` records are done and their lists handed to the producer."""
        self.done += count
        if self.done >= self._events and self._report:
            seconds = time.perf_counter() - self._started
            # Renamed into place: the parent never sees half a report.
            half = Path(self._report + ".part")
            half.write_text(json.dumps({"events": self.done, "seconds": seconds}))
            half.rename(self._report)
            self._report = ""
