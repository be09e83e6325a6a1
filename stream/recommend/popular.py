"""Popular and trending items over all partitions: the fallback, and the `trending` lists.

Each item partition publishes its own leaders (an absolute partial) on the topic `aggregates`; every
worker merges the latest partial of each. All workers therefore fall back to the same items.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.items.facts import know, learn_of
from stream.items.newcomers import MAX_CATEGORIES
from stream.items.table import ItemTable

LEADERS = 200
"""Popular items kept overall: enough for twenty that a shopper has not bought."""

CATEGORY_LEADERS = 40
"""Popular items kept a category."""

MERGE_EVERY_MS = 1_000
"""What the partitions tell one after the other is merged once a second."""

TRENDING = 20
"""Trending items kept, overall and a category: as many as a list has."""


class Leaders(NamedTuple):
    """What ranking reads: item numbers + 1 in falling order (0 ends a list)."""

    overall: NDArray[np.int32]
    by_category: NDArray[np.int32]


class Partial(msgspec.Struct, frozen=True):
    """One item partition's leaders, as published: decayed weights at `clock_ms`, falling by weight."""

    version: str
    clock_ms: int
    total_popular: float
    total_trending: float
    items: list[str]
    popular: list[float]
    trending: list[float]


class Popular:
    """The merged view of all partials."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._partials: dict[bytes, Partial] = {}
        self._stale = False
        self._merged_ms = -MERGE_EVERY_MS
        self.version = ""
        self.leaders = Leaders(
            np.zeros(LEADERS, np.int32),
            np.zeros((MAX_CATEGORIES, CATEGORY_LEADERS), np.int32),
        )
        self.numbers = np.empty(0, np.int32)
        self.trending: list[tuple[bytes, float]] = []
        self.trending_by_category: dict[int, list[tuple[bytes, float]]] = {}

    def update(self, key: bytes, value: bytes) -> None:
        """Take in one partial; one that is not newer than known is ignored."""
        partial = msgspec.json.decode(value, type=Partial)
        known = self._partials.get(key)
        if known is None or partial.version > known.version:
            self._partials[key] = partial
            self.version = max(self.version, partial.version)
            self._stale = True

    def again(self) -> None:
        """Merge anew, though no partition told anything: items stand for others than they did."""
        self._stale = bool(self._partials)

    def merge(self, now_ms: int) -> bool:
        """Rebuild the lists if anything changed and the last time is a second ago; True if so.

        About 1 µs an item, 0.5 ms at least.
        """
        if not self._stale or 0 <= now_ms - self._merged_ms < MERGE_EVERY_MS:
            return False
        self._stale, self._merged_ms = False, now_ms
        partials = [self._partials[key] for key in sorted(self._partials)]
        ids = [name for partial in partials for name in partial.items]
        numbers, _ = self._table.standing(self._table.numbers("\0".join(ids).encode(), len(ids)))
        # Partials of different times: what a quiet partition told is worth less by now.
        clock_ms = max((p.clock_ms for p in partials), default=0)
        slow = [0.5 ** ((clock_ms - p.clock_ms) / self._table.slow.half_life_ms) for p in partials]
        fast = [0.5 ** ((clock_ms - p.clock_ms) / self._table.fast.half_life_ms) for p in partials]
        told = list(zip(partials, slow, fast, strict=True))
        popular = _joined([np.array(p.popular) * by for p, by, _ in told])
        trending = _joined([np.array(p.trending) * by for p, _, by in told])
        total_popular = max(sum(p.total_popular * by for p, by, _ in told), 1e-9)
        total_trending = max(sum(p.total_trending * by for p, _, by in told), 1e-9)
        # What was counted under several ids may be of one item.
        numbers, at = np.unique(numbers, return_inverse=True)
        popular, trending = (_summed(amounts, at, len(numbers)) for amounts in (popular, trending))
        learn_of(self._table.facts, numbers, popular / np.float32(total_popular))
        know(self._table.facts, numbers, popular)
        self.numbers = numbers
        self._rank(numbers, popular, trending / np.float32(total_trending))
        return True

    def _rank(
        self, numbers: NDArray[np.int32], popular: NDArray[np.float32], trending: NDArray[np.float32]
    ) -> None:
        # Ties by the id's hash, so that numbers, which differ by worker, never decide.
        ties = self._table.interner.names.entries["hash"][numbers]
        shown = ~self._table.facts.item["withdrawn"][numbers]
        categories = self._table.facts.item["category"][numbers]
        by_popular = np.lexsort((ties, -popular))
        by_popular = by_popular[shown[by_popular]]
        leaders = self.leaders
        leaders.overall[:] = 0
        leaders.overall[: min(LEADERS, len(by_popular))] = numbers[by_popular[:LEADERS]] + 1
        leaders.by_category[:] = 0
        first, place = first_of(categories[by_popular], CATEGORY_LEADERS)
        leaders.by_category[categories[by_popular[first]], place] = numbers[by_popular[first]] + 1
        by_trending = np.lexsort((ties, -trending))
        by_trending = by_trending[(shown & (trending > 0))[by_trending]]
        self.trending = [self._entry(numbers, trending, k) for k in by_trending[:TRENDING].tolist()]
        self.trending_by_category = {}
        for k in by_trending[first_of(categories[by_trending], TRENDING)[0]].tolist():
            entry = self._entry(numbers, trending, k)
            self.trending_by_category.setdefault(int(categories[k]), []).append(entry)

    def _entry(self, numbers: NDArray[np.int32], share: NDArray[np.float32], k: int) -> tuple[bytes, float]:
        return self._table.interner.name(int(numbers[k])), float(share[k])


def _joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    return np.concatenate([np.empty(0), *parts]).astype(np.float32)


def _summed(amounts: NDArray[np.float32], at: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    return np.bincount(at, amounts, count).astype(np.float32)


def first_of(categories: NDArray[np.int32], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the first `most` of every category are (0 is none), in order, and each one's place among them."""
    grouped = np.argsort(categories, kind="stable")
    _, begins, inside = np.unique(categories[grouped], return_index=True, return_inverse=True)
    place = np.arange(len(grouped)) - begins[inside]
    kept = (place < most) & (categories[grouped] > 0)
    return grouped[kept], place[kept]
