"""When to save which bucket of a unit: one after the other, at a pace set by the events since."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_ROWS = 1_000
"""A bucket counts as so many rows at least. Small buckets cost more than their rows, and where all are small
a replay is short anyway: 64 of them are saved once in 64,000 events at one row an event."""


class Rotation:
    """Saves `rows_per_event` rows for every event, oldest bucket first; 0: none.

    The whole state of n rows is thus written once in n / `rows_per_event` events, whatever their pace: that
    is the longest replay after a crash, and the share of the time that saving takes stays the same.

    After a restore nothing is saved before the unit has come to where its newest bucket stands: older ones
    are on their way there, and this one holds more than the unit's position says.
    """

    def __init__(self, buckets: int, rows_per_event: float) -> None:
        self._rows_per_event = rows_per_event
        self._order = deque(range(buckets))
        self._positions = [-1] * buckets
        self._credit = 0.0
        self._newest = -1

    def begin(self, positions: Sequence[int]) -> None:
        """Go on after a restore from buckets at these positions: the one saved longest ago comes first."""
        self._positions = list(positions)
        self._newest = max(positions)
        self._order = deque(sorted(range(len(positions)), key=lambda bucket: (positions[bucket], bucket)))

    def due(self, events: int, sizes: NDArray[np.int64], position: int) -> list[int]:
        """Buckets to save at `position`, after `events` further events; `sizes` are their rows."""
        self._credit += events * self._rows_per_event
        found: list[int] = []
        while len(found) < len(self._order) and position >= self._newest:
            cost = max(int(sizes[self._order[0]]), LEAST_ROWS)
            if self._credit < cost:
                break
            self._credit -= cost
            found.append(self._next(position))
        return found

    def rest(self, most: int, position: int) -> list[int]:
        """Up to `most` buckets that were not saved at `position` yet, whatever the pace."""
        found: list[int] = []
        most = most if self._rows_per_event and position >= self._newest else 0
        while len(found) < most and self._positions[self._order[0]] < position:
            found.append(self._next(position))
        return found

    def _next(self, position: int) -> int:
        bucket = self._order[0]
        self._order.rotate(-1)
        self._positions[bucket] = position
        return bucket
