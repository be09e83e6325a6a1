"""What is popular: overall and in the category of what was looked at last, decayed by a half-life.

``score(i) = w_i / Σ w  +  w_i / Σ w of i's category, if that is the last item's category``: the chance that
any event, and that an event of this category, is about i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.types import Item
from stream.sources.base import Base, mask_of, unwanted, within
from stream.sources.groups import CATEGORIES, category_of
from stream.sources.leaders import close_up, gain_at, remove, rise
from stream.sources.pool import Pool, best, new_pool, put
from stream.sources.source import Interactions, Proposals, Room, Visit
from stream.state.arena import reserve
from stream.state.jit import kernel

HALF_LIFE_MS = 7 * 86_400_000.0
"""A week: what was popular last week is worth half."""
LEADERS = 100
"""Items listed overall: a list of any usual length and what it leaves out."""
CATEGORY_LEADERS = 40


class PopularityState(NamedTuple):
    """Decayed weights, and the heaviest items: number + 1, 0 ends a list."""

    weight: NDArray[np.float64]
    """(CATEGORIES + items): the sum of each category, and then the weight of each item."""
    category: NDArray[np.int32]
    """(items)"""
    overall: NDArray[np.int32]
    by_category: NDArray[np.int32]
    """(CATEGORIES, CATEGORY_LEADERS)"""
    clock: NDArray[np.float64]
    """Landmark of the decay, ms; what an event is worth now; the sum of all weights."""


@kernel
def learn(state: PopularityState, ties: NDArray[np.uint64], events: Interactions) -> None:
    """Take in events: about .1 µs each."""
    for k in range(len(events.item)):
        item = events.item[k]
        if item < 0 or item >= len(state.category) or unwanted(events.code[k]):
            continue
        landmark_ms = state.clock[0]
        gain = gain_at(state.clock, state.weight, events.ts_ms[k], HALF_LIFE_MS)
        if state.clock[2] > 0.0:
            state.clock[2] *= 2.0 ** ((landmark_ms - state.clock[0]) / HALF_LIFE_MS)
        category = state.category[item]
        state.weight[CATEGORIES + item] += gain
        state.weight[category] += gain
        state.clock[2] += gain
        rise(state.overall, item, state.weight, CATEGORIES, ties)
        rise(state.by_category[category], item, state.weight, CATEGORIES, ties)


@kernel
def propose(
    state: PopularityState, ties: NDArray[np.uint64], pool: Pool, visit: Visit, out: Proposals
) -> int:
    """Proposals for a visit: about 2 µs."""
    last = visit.recent[0] if len(visit.recent) else -1
    _bring(state, pool, state.overall, state.clock[2])
    if 0 <= last < len(state.category) and state.category[last] > 0:
        category = state.category[last]
        _bring(state, pool, state.by_category[category], state.weight[category])
    return best(pool, ties, last, visit.length, out)


@kernel
def _bring(state: PopularityState, pool: Pool, leaders: NDArray[np.int32], total: float) -> None:
    for k in range(len(leaders)):
        if leaders[k] == 0:
            break
        item = leaders[k] - 1
        c = put(pool, item)
        pool.score[c] += np.float32(state.weight[CATEGORIES + item] / total)
        pool.evidence[c] = -1


@kernel
def move(state: PopularityState, ties: NDArray[np.uint64], item: int, category: int) -> None:
    """The item is of another category from now on."""
    before, weight = state.category[item], state.weight[CATEGORIES + item]
    if before == category:
        return
    state.category[item] = category
    remove(state.by_category[before], item)
    state.weight[before] = max(state.weight[before] - weight, 0.0)
    state.weight[category] += weight
    if weight > 0.0:
        rise(state.by_category[category], item, state.weight, CATEGORIES, ties)


class Popularity(Base[PopularityState]):
    """`Source` by decayed popularity. 12 bytes an item and 700 KB."""

    name = "popularity"

    def __init__(self, room: Room) -> None:
        state = PopularityState(
            reserve(CATEGORIES + room.items, np.float64),
            reserve(room.items, np.int32),
            np.zeros(LEADERS, np.int32),
            reserve(CATEGORIES * CATEGORY_LEADERS, np.int32).reshape(CATEGORIES, CATEGORY_LEADERS),
            np.zeros(3, np.float64),
        )
        self._pool = new_pool()
        super().__init__(room, state, (self._pool,))

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        learn(self.state, self.room.ties, events)

    def describe_items(self, numbers: NDArray[np.int32], facts: Sequence[Item]) -> None:
        """See `Source.describe_items`: categories count."""
        for number, item in zip(numbers.tolist(), facts, strict=True):
            if 0 <= number < self.room.items:
                move(self.state, self.room.ties, number, category_of(item.category))

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        return propose(self.state, self.room.ties, self._pool, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        items = np.unique(within(items, self.room.items))
        state = self.state
        weights = state.weight[CATEGORIES + items]
        np.subtract.at(state.weight, state.category[items], weights)
        np.maximum(state.weight[:CATEGORIES], 0.0, out=state.weight[:CATEGORIES])
        state.clock[2] = max(state.clock[2] - weights.sum(), 0.0)
        state.weight[CATEGORIES + items] = 0.0
        state.category[items] = 0
        gone = mask_of(items, self.room.items)
        close_up(state.overall.reshape(1, -1), gone)
        close_up(state.by_category, gone)
