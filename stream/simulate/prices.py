"""The price tags: list prices with the shop's own promotions, until somebody sets a price."""

from __future__ import annotations

import numpy as np

from stream.simulate.catalogue import Goods

PROMOTIONS = (0.90, 0.95, 1.05, 1.10)
"""Factors on the list price; both directions, or demand above the list price could not be learned."""
PROMOTION_ODDS_DAILY = 0.05
PROMOTION_DAYS = (3, 7)
"""With these about a fifth of all views happen at a price other than the list price."""


class PriceTags:
    """What every item costs right now, for everybody alike, in minor units."""

    def __init__(self, goods: Goods, seed: int) -> None:
        self._seed = seed
        self._day = -1
        self._list_minor: list[int] = goods.list_minor.tolist()
        self._promoted_until = [-1] * len(goods.ids)
        self._is_set = [False] * len(goods.ids)
        self.shown_minor: list[int] = list(self._list_minor)
        self.to_day(0)

    def set(self, item: int, price_minor: int) -> None:
        """Show this price from now on. The shop's own promotions of the item end for good."""
        self._is_set[item] = True
        self.shown_minor[item] = price_minor

    def settled_minor(self, item: int) -> int:
        """The price that was set, else the list price: promotions left aside."""
        return self.shown_minor[item] if self._is_set[item] else self._list_minor[item]

    def to_day(self, day: int) -> None:
        """Move on to `day` (days after the start): promotions end and begin."""
        n = len(self.shown_minor)
        while self._day < day:
            self._day += 1
            rng = np.random.default_rng((self._seed, 14, self._day))
            begins = (rng.random(n) < PROMOTION_ODDS_DAILY).tolist()
            factors = rng.choice(PROMOTIONS, n).tolist()
            days = rng.integers(PROMOTION_DAYS[0], PROMOTION_DAYS[1] + 1, n).tolist()
            for item in range(n):
                if self._is_set[item] or self._promoted_until[item] > self._day:
                    continue
                if begins[item]:
                    self._promoted_until[item] = self._day + days[item]
                    self.shown_minor[item] = round(self._list_minor[item] * factors[item])
                else:
                    self.shown_minor[item] = self._list_minor[item]
