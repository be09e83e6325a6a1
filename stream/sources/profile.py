"""Profiles: what is popular among shoppers of one's segment, and in what one is interested in.

``score(i) = Σ s_g · w_i / Σ w of group g  +  w_i / Σ w of the segment``: s is the shopper's share of interest
in each category, brand and price band, w popularity with a half-life of a week. At the beginning of a session
the shopper is placed in a segment anew. Stated interests set the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import PROFILE, PURCHASE
from stream.events.types import Item
from stream.sources.base import Base, mask_of, unwanted, within
from stream.sources.groups import CATEGORIES, category_of
from stream.sources.interests import (
    DAY_MS,
    GROUPS,
    INTERESTS,
    KINDS,
    Interests,
    care,
    come,
    fade,
    groups_of,
    is_named,
    weight_of,
)
from stream.sources.leaders import close_up, gain_at, remove, rise
from stream.sources.pool import Pool, best, new_pool, put
from stream.sources.popularity import HALF_LIFE_MS
from stream.sources.segments import SEGMENTS, Segments
from stream.sources.source import Interactions, Proposals, Room, Visit
from stream.state.arena import reserve
from stream.state.jit import kernel

GROUP_LEADERS = 30
SEGMENT_LEADERS = 60
STATED = 5.0
"""What a stated interest weighs, a view being 1."""


class ProfileState(NamedTuple):
    """Interests by shopper; decayed weights: of groups, of items, and of items by segment."""

    group: NDArray[np.int32]
    interest: NDArray[np.float32]
    last_ms: NDArray[np.int64]
    sessions: NDArray[np.float64]
    spent: NDArray[np.float64]
    segment: NDArray[np.uint8]
    """(shoppers)"""
    groups: NDArray[np.int32]
    """(items, KINDS)"""
    price: NDArray[np.float64]
    """(items): list price, in the currency's main unit."""
    weight: NDArray[np.float64]
    """(GROUPS + SEGMENTS + 1 + items + (SEGMENTS + 1) · items): sums of groups and segments, then items."""
    leaders: NDArray[np.int32]
    """(GROUPS, GROUP_LEADERS): item + 1."""
    by_segment: NDArray[np.int32]
    """(SEGMENTS + 1, SEGMENT_LEADERS)"""
    clock: NDArray[np.float64]


_ITEMS = GROUPS + SEGMENTS + 1
"""Where the weights of items begin."""


@kernel
def _interests(state: ProfileState) -> Interests:
    return Interests(state.group, state.interest, state.last_ms, state.sessions, state.spent)


@kernel
def learn(state: ProfileState, ties: NDArray[np.uint64], events: Interactions, start: int, stop: int) -> None:
    """Take in the events from `start` to `stop`: about .3 µs each."""
    items = len(state.price)
    interests = _interests(state)
    for k in range(start, stop):
        shopper, item, code = events.shopper[k], events.item[k], events.code[k]
        known = 0 <= item < items and not unwanted(code)
        if 0 <= shopper < len(state.segment):
            spent = state.price[item] if known and code == PURCHASE else 0.0
            come(interests, shopper, events.ts_ms[k], events.opens[k], spent)
        if not known:
            continue
        gain = gain_at(state.clock, state.weight, events.ts_ms[k], HALF_LIFE_MS)
        segment = 0
        if 0 <= shopper < len(state.segment):
            segment = int(state.segment[shopper])
            fade(interests, shopper)
        state.weight[_ITEMS + item] += gain
        for g in range(KINDS):
            group = state.groups[item, g]
            if is_named(group):
                state.weight[group] += gain
                rise(state.leaders[group], item, state.weight, _ITEMS, ties)
                if 0 <= shopper < len(state.segment):
                    care(interests, shopper, group, weight_of(code))
        first = _ITEMS + items * (1 + segment)
        state.weight[first + item] += gain
        state.weight[GROUPS + segment] += gain
        rise(state.by_segment[segment], item, state.weight, first, ties)


@kernel
def propose(state: ProfileState, ties: NDArray[np.uint64], pool: Pool, visit: Visit, out: Proposals) -> int:
    """Proposals for a visit: about 10 µs."""
    items, segment = len(state.price), 0
    if 0 <= visit.shopper < len(state.segment):
        segment = int(state.segment[visit.shopper])
        total = 0.0
        for p in range(INTERESTS):
            total += state.interest[visit.shopper, p]
        for p in range(INTERESTS):
            group = state.group[visit.shopper, p] - 1
            if group >= 0 and total > 0.0:
                share = state.interest[visit.shopper, p] / total
                _bring(state, pool, state.leaders[group], _ITEMS, share / state.weight[group])
    first = _ITEMS + items * (1 + segment)
    _bring(state, pool, state.by_segment[segment], first, 1.0 / state.weight[GROUPS + segment])
    last = visit.recent[0] if len(visit.recent) else -1
    return best(pool, ties, last, visit.length, out)


@kernel
def _bring(state: ProfileState, pool: Pool, leaders: NDArray[np.int32], first: int, factor: float) -> None:
    for k in range(len(leaders)):
        if leaders[k] == 0:
            break
        c = put(pool, leaders[k] - 1)
        if c >= 0:
            pool.score[c] += np.float32(state.weight[first + leaders[k] - 1] * factor)
            pool.evidence[c] = -1


@kernel
def describe(state: ProfileState, ties: NDArray[np.uint64], item: int, groups: NDArray[np.int32]) -> None:
    """The item is in these groups from now on."""
    weight = state.weight[_ITEMS + item]
    for g in range(KINDS):
        before, group = state.groups[item, g], groups[g]
        if before == group:
            continue
        state.groups[item, g] = group
        if is_named(before):
            remove(state.leaders[before], item)
            state.weight[before] = max(state.weight[before] - weight, 0.0)
        if is_named(group) and weight > 0.0:
            state.weight[group] += weight
            rise(state.leaders[group], item, state.weight, _ITEMS, ties)


class Profile(Base[ProfileState]):
    """`Source` by profiles. 100 bytes an item, 130 a shopper, 1 MB; 35 µs more when a session begins."""

    name = "profile"

    def __init__(self, room: Room) -> None:
        items, shoppers = room.items, room.shoppers
        state = ProfileState(
            reserve(shoppers * INTERESTS, np.int32).reshape(shoppers, INTERESTS),
            reserve(shoppers * INTERESTS, np.float32).reshape(shoppers, INTERESTS),
            reserve(shoppers, np.int64),
            reserve(shoppers, np.float64),
            reserve(shoppers, np.float64),
            reserve(shoppers, np.uint8),
            reserve(items * KINDS, np.int32).reshape(items, KINDS),
            reserve(items, np.float64),
            reserve(_ITEMS + items * (SEGMENTS + 2), np.float64),
            reserve(GROUPS * GROUP_LEADERS, np.int32).reshape(GROUPS, GROUP_LEADERS),
            np.zeros((SEGMENTS + 1, SEGMENT_LEADERS), np.int32),
            np.zeros(2, np.float64),
        )
        self._pool = new_pool()
        self._segments = Segments()
        super().__init__(room, state, (self._pool,))

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        begun = events.opens & (events.shopper >= 0) & (events.shopper < self.room.shoppers)
        start = 0
        for k in np.flatnonzero(begun).tolist():
            learn(self.state, self.room.ties, events, start, k)
            self._place(int(events.shopper[k]), int(events.ts_ms[k]))
            start = k
        learn(self.state, self.room.ties, events, start, len(events.item))

    def _place(self, shopper: int, ts_ms: int) -> None:
        state = self.state
        if state.last_ms[shopper] == 0:
            return
        values = self._values(shopper, ts_ms)
        total = max(float(state.interest[shopper].sum()), 1e-9)
        interests = {
            int(group) - 1: float(weight) / total
            for group, weight in zip(state.group[shopper], state.interest[shopper], strict=True)
            if group
        }
        state.segment[shopper] = self._segments.place(interests, values)

    def _values(self, shopper: int, ts_ms: int) -> dict[str, float]:
        state = self.state
        return {
            # The more recent the larger, as the others.
            "recency": -max(ts_ms - int(state.last_ms[shopper]), 0) / DAY_MS,
            "frequency": float(state.sessions[shopper]),
            "monetary": float(state.spent[shopper]),
        }

    def rfm(self, shopper: int, ts_ms: int) -> tuple[int, ...]:
        """Recency, frequency and money of a shopper, each from 1 to 5: the fifth of all it lies in."""
        return self._segments.fifths(self._values(shopper, ts_ms))

    def describe_items(self, numbers: NDArray[np.int32], facts: Sequence[Item]) -> None:
        """See `Source.describe_items`: category, brand and list price count."""
        for number, item in zip(numbers.tolist(), facts, strict=True):
            if 0 <= number < self.room.items:
                self.state.price[number] = item.list_price or 0.0
                describe(self.state, self.room.ties, number, groups_of(item))

    def hear(self, shopper: int, code: int, words: str) -> None:
        """See `Source.hear`: stated interests are names of categories and brands, a line each."""
        if code == PROFILE and 0 <= shopper < self.room.shoppers:
            for name in filter(None, map(str.strip, words.splitlines())):
                for group in (category_of(name), CATEGORIES + category_of(name)):
                    # Only where something is: a word that names nothing would take the room of one that does.
                    if self.state.leaders[group, 0]:
                        care(_interests(self.state), shopper, group, STATED)

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        return propose(self.state, self.room.ties, self._pool, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        state, room = self.state, self.room
        items, shoppers = within(items, room.items), within(shoppers, room.shoppers)
        none = np.array([0, CATEGORIES, 2 * CATEGORIES], np.int32)
        for item in items.tolist():
            describe(state, room.ties, item, none)
        state.price[items] = 0.0
        state.groups[items] = 0
        weights = state.weight[_ITEMS:].reshape(SEGMENTS + 2, room.items)
        sums = state.weight[GROUPS:_ITEMS]
        sums -= weights[1:, np.unique(items)].sum(1)
        np.maximum(sums, 0.0, out=sums)
        weights[:, items] = 0.0
        close_up(state.by_segment, mask_of(items, room.items))
        for rows in (state.group, state.interest, state.last_ms, state.sessions, state.spent, state.segment):
            rows[shoppers] = 0

    def _more(self) -> dict[str, Any]:
        return self._segments.save()

    def _take(self, more: dict[str, Any]) -> None:
        self._segments.load(more)
