"""How old events are when what they caused can be read: over the last minute, and since the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.events.block import timestamps
from stream.events.records import Record
from stream.runtime.telemetry.histogram import FRESHNESS_EDGES_S, Histogram

BUCKETS_PER_DOUBLING = 4
"""Edges 19 % apart: fine enough for a p99, coarse enough to be cheap."""
_EDGES_MS: NDArray[np.float64] = 2.0 ** (np.arange(30 * BUCKETS_PER_DOUBLING) / BUCKETS_PER_DOUBLING)
SLICES = 6
SLICE_MS = 10_000


class Freshness:
    """Ages in milliseconds since the broker had them, forgotten after `SLICES` x `SLICE_MS`.

    `since` has the ages in seconds, from event time and from broker time, of all events since the start.
    """

    def __init__(self) -> None:
        self.since = {"event": Histogram(FRESHNESS_EDGES_S), "broker": Histogram(FRESHNESS_EDGES_S)}
        self._counts = np.zeros((SLICES, len(_EDGES_MS) + 1), np.int64)
        self._slice = 0

    def delivered(
        self, parts: Sequence[Sequence[Record]], event_ts_ms: Sequence[NDArray[np.int64]], at_ms: int
    ) -> None:
        """A batch's consequences can be read since `at_ms`. About 0.1 µs a record, 60 µs at least."""
        ages_ms = np.maximum(at_ms - np.concatenate([timestamps(records) for records in parts]), 0)
        self.add(ages_ms, at_ms)
        self.since["broker"].observe_all(ages_ms / 1000)
        if event_ts_ms:
            self.since["event"].observe_all(np.maximum(at_ms - np.concatenate(event_ts_ms), 0) / 1000)

    def add(self, ages_ms: Sequence[int] | NDArray[np.int64], now_ms: int) -> None:
        """Count the ages of one batch. About 0.05 µs each."""
        self._turn(now_ms)
        places = np.searchsorted(_EDGES_MS, np.maximum(ages_ms, 0), side="left")
        self._counts[self._slice % SLICES] += np.bincount(places, minlength=self._counts.shape[1])

    def quantile_ms(self, q: float, now_ms: int) -> float | None:
        """Upper edge of the bucket that holds the quantile; None when nothing was counted."""
        self._turn(now_ms)
        total = self._counts.sum(axis=0).cumsum()
        if not total[-1]:
            return None
        place = int(np.searchsorted(total, q * total[-1], side="left"))
        return float(_EDGES_MS[min(place, len(_EDGES_MS) - 1)])

    def _turn(self, now_ms: int) -> None:
        current = now_ms // SLICE_MS
        for slice_ in range(max(self._slice + 1, current - SLICES + 1), current + 1):
            self._counts[slice_ % SLICES] = 0
        self._slice = max(self._slice, current)
