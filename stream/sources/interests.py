"""A shopper's interests in categories, brands and price bands, decayed by event; and how they spend.

All three are groups of items; their numbers follow one another (`GROUPS`). RFM is recency, frequency and
monetary value (Hughes, 1994): the time of the last event, and decayed sums of sessions and of money spent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import CART, LIKE, PURCHASE
from stream.events.types import Item
from stream.sources.groups import CATEGORIES, category_of
from stream.state.jit import kernel

BANDS = 64
GROUPS = 2 * CATEGORIES + BANDS
"""Categories, brands, price bands; the first of each kind stands for none."""
KINDS = 3
INTERESTS = 12
"""Groups of a shopper."""
KEEP = 0.9
"""What an event leaves of the interests before it: ten events make up two thirds."""
SPENDING_MS = 90 * 86_400_000.0
"""Half-life of frequency and money: a quarter."""
DAY_MS = 86_400_000.0


class Interests(NamedTuple):
    """By shopper."""

    group: NDArray[np.int32]
    """(shoppers, INTERESTS): group + 1, 0 where there is none."""
    weight: NDArray[np.float32]
    last_ms: NDArray[np.int64]
    """0: they were never here."""
    sessions: NDArray[np.float64]
    """Decayed as of `last_ms`."""
    spent: NDArray[np.float64]


def groups_of(item: Item) -> NDArray[np.int32]:
    """Category, brand and price band of an item, (KINDS)."""
    category, brand = category_of(item.category), category_of(item.brand)
    return np.array([category, CATEGORIES + brand, 2 * CATEGORIES + _band(item.list_price)], np.int32)


def _band(price: float | None) -> int:
    """Two bands for each doubling of the price, from 1; 0 for none."""
    return 1 + min(BANDS - 2, max(0, round(2.0 * math.log2(price + 1.0)))) if price is not None else 0


@kernel
def is_named(group: int) -> bool:
    """Whether a group is one that something is known to be in."""
    return group != 0 and group != CATEGORIES and group != 2 * CATEGORIES


@kernel
def weight_of(code: int) -> float:
    """What an event of this type says of interests, a view being 1."""
    if code == PURCHASE:
        return 3.0
    return 2.0 if code == CART or code == LIKE else 1.0


@kernel
def fade(interests: Interests, shopper: int) -> None:
    """One event has passed."""
    for p in range(INTERESTS):
        interests.weight[shopper, p] *= np.float32(KEEP)


@kernel
def care(interests: Interests, shopper: int, group: int, weight: float) -> None:
    """Add to a shopper's interest in a group; the least of the others makes room for a new one."""
    held, weights = interests.group[shopper], interests.weight[shopper]
    least = 0
    for p in range(INTERESTS):
        if held[p] == group + 1:
            least = p
            break
        if weights[p] < weights[least]:
            least = p
    if held[least] != group + 1:
        held[least] = group + 1
        weights[least] = 0.0
    weights[least] += np.float32(weight)


@kernel
def come(interests: Interests, shopper: int, ts_ms: int, opens: bool, spent: float) -> None:
    """An event of the shopper: sums are brought to its time, then it is added."""
    since_ms = ts_ms - interests.last_ms[shopper]
    if interests.last_ms[shopper] != 0 and since_ms > 0:
        fading = 2.0 ** (-since_ms / SPENDING_MS)
        interests.sessions[shopper] *= fading
        interests.spent[shopper] *= fading
    interests.last_ms[shopper] = max(interests.last_ms[shopper], ts_ms)
    interests.sessions[shopper] += 1.0 if opens else 0.0
    interests.spent[shopper] += spent
