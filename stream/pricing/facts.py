"""What a decision is made from: what shoppers did at which price, and what the shop says of its items.

Nothing here, nor anywhere in this package, knows a shopper: prices belong to items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.pricing.ladder import Floats, Ints

UNKNOWN = -1
"""Stands for a fact that the catalogue does not give."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts of N items at up to S distinct prices each, decayed; all shapes (N, S)."""

    price_minor: Ints
    """Prices that were really shown, in any order; 0 = empty slot."""
    exposures: Floats
    """Product views at that price."""
    purchases: Floats
    """Purchases (events, not units) at that price."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of the same N items; all shapes (N,), money in minor units, `UNKNOWN` where not given."""

    item_hash: NDArray[np.uint64]
    """A fixed hash of the item's id: seeds its draws and spreads decisions over time."""
    list_price_minor: Ints
    cost_minor: Ints
    floor_minor: Ints
    ceiling_minor: Ints
    current_price_minor: Ints
    """The price in force; unknown: the list price."""
    last_change_ms: Ints
    """When the price in force was set; unknown: never."""
    stock: Ints
    """Units left. Nothing depends on it yet: scarcity has no price in this version."""

    @property
    def reference_minor(self) -> Ints:
        """Centre of the ladder: the list price, else the price in force, else `UNKNOWN`."""
        given = np.where(self.list_price_minor >= 1, self.list_price_minor, self.current_price_minor)
        return np.asarray(np.where(given >= 1, given, UNKNOWN), dtype=np.int64)

    @property
    def in_force_minor(self) -> Ints:
        """The price in force, else the list price, else `UNKNOWN`."""
        given = np.where(self.current_price_minor >= 1, self.current_price_minor, self.list_price_minor)
        return np.asarray(np.where(given >= 1, given, UNKNOWN), dtype=np.int64)
