"""When to save which bucket of a unit: one after the other, at a pace set by the events since."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OVERHEAD_ROWS = 1_000
"""What finding and writing a bucket costs beyond its rows, in rows."""


class Rotation:
    """Saves `rows_per_event` rows for every event, oldest bucket first; 0: none.

    The whole state of n rows is thus written once in n / `rows_per_event` events, whatever their pace: that
    is the longest replay after a crash, and the share of the time that saving takes stays the same.
    """

    def __init__(self, buckets: int, rows_per_event: float) -> None:
        self._rows_per_event = rows_per_event
        self._order = deque(range(buckets))
        self._credit = 0.0

    def begin(self, positions: Sequence[int]) -> None:
        """Go on after a restore: the bucket that was saved longest ago first."""
        self._order = deque(sorted(range(len(positions)), key=lambda bucket: (positions[bucket], bucket)))

    def due(self, events: int, sizes: NDArray[np.int64]) -> list[int]:
        """Buckets to save after `events` further events; `sizes` are their rows."""
        self._credit += events * self._rows_per_event
        found: list[int] = []
        while len(found) < len(self._order):
            cost = int(sizes[self._order[0]]) + OVERHEAD_ROWS
            if self._credit < cost:
                break
            self._credit -= cost
            found.append(self._order[0])
            self._order.rotate(-1)
        return found
