"""How the next item is chosen: one draw, and the exact odds of the same draw.

The next item comes from one of four sources: items similar to the current one, its complements, the
shopper's taste (a category, in it brands that they like), or what is popular in the whole shop. A
choice that was seen in this visit, bought or hidden before, or is not on sale is drawn again, all of
it, so that the odds are those of the mixture with such items struck out.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from stream.simulate.catalogue import Goods
from stream.simulate.popularity import Popularity
from stream.simulate.tastes import Shopper
from stream.simulate.transitions import N_COMPLEMENTS, N_SIMILAR, Transitions

SIMILAR, COMPLEMENT, TASTE, POPULAR = 0.50, 0.18, 0.20, 0.12
"""Odds of the four sources within a visit."""
OPENING_TASTE = 0.7
"""A visit has no current item at first: taste, else what is popular."""
INTENT = 0.8
"""Taste follows the visit's own category this often, else any category that the shopper likes."""
OTHER_BRAND = 0.35
"""Odds of a brand that is not liked, relative to one that is."""
MAX_DRAWS = 64
"""So many misses mean that the shopper has seen what there is."""


@dataclass(slots=True)
class Visit:
    """An open session. `intent` is a category number; `current` the item last viewed; `requests` names by
    item the list that it was found on."""

    shopper: Shopper
    session_id: str
    intent: int
    current: int | None = None
    seen: set[int] = field(default_factory=set)
    requests: dict[int, str] = field(default_factory=dict)


class Browsing:
    """Draws of the next item, and their odds."""

    def __init__(self, goods: Goods, popularity: Popularity, transitions: Transitions) -> None:
        self._popularity = popularity
        self._transitions = transitions
        self._category = goods.category
        self._brand = goods.brand
        self._brand_of: list[int] = goods.brand.tolist()
        self._n_categories = len(goods.category_names)

    def draw(self, visit: Visit, rng: Random) -> tuple[int, bool] | None:
        """The next item and whether it was chosen as a complement; None when nothing is left."""
        on_sale, avoided, seen = self._popularity.on_sale, visit.shopper.avoided, visit.seen
        for _ in range(MAX_DRAWS):
            item, is_complement = self._propose(visit, rng)
            if item not in seen and item not in avoided and on_sale[item]:
                return item, is_complement
        return None

    def _propose(self, visit: Visit, rng: Random) -> tuple[int, bool]:
        source = rng.random()
        if visit.current is None:
            by_taste = source < OPENING_TASTE
        else:
            links = self._transitions
            if source < SIMILAR:
                rank = bisect(links.similar_cumulative, rng.random(), 0, N_SIMILAR - 1)
                return links.similar[visit.current][rank], False
            if source < SIMILAR + COMPLEMENT:
                rank = bisect(links.complement_cumulative, rng.random(), 0, N_COMPLEMENTS - 1)
                return links.complements[visit.current][rank], True
            by_taste = source < SIMILAR + COMPLEMENT + TASTE
        if not by_taste:
            return self._popularity.draw(rng), False
        shopper = visit.shopper
        category = visit.intent if rng.random() < INTENT else shopper.draw_category(rng)
        while True:
            item = self._popularity.draw_in(category, rng)
            if shopper.liked[self._brand_of[item]] or rng.random() < OTHER_BRAND:
                return item, False

    def odds(
        self, shopper: Shopper, intent: int | None, current: int | None, seen: set[int]
    ) -> NDArray[np.float64]:
        """Odds of each item to be the next one viewed, shape (n_items,), up to a common factor.

        `intent` None: the visit has not begun, its category is not known yet. Cost: about 40 µs for
        400 items.
        """
        attraction = self._popularity.weight
        category_odds = shopper.taste()
        if intent is not None:
            category_odds *= 1.0 - INTENT
            category_odds[intent] += INTENT
        liked = attraction * np.where(np.array(shopper.liked)[self._brand], 1.0, OTHER_BRAND)
        in_category = np.bincount(self._category, liked, self._n_categories)
        by_taste = liked * (category_odds / in_category)[self._category]
        popular = attraction / attraction.sum()
        odds: NDArray[np.float64]
        if current is None:
            odds = OPENING_TASTE * by_taste + (1.0 - OPENING_TASTE) * popular
        else:
            links = self._transitions
            odds = TASTE * by_taste + POPULAR * popular
            odds[links.similar[current]] += SIMILAR * links.similar_odds
            odds[links.complements[current]] += COMPLEMENT * links.complement_odds
        odds[attraction == 0.0] = 0.0  # not on sale yet
        odds[list(seen | shopper.avoided)] = 0.0
        return odds
