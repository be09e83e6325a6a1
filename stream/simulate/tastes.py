"""The shoppers: how often they come and what they like."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random

import numpy as np
from numpy.typing import NDArray

from stream.simulate.config import ShopConfig

TASTE_CONCENTRATION = 0.3
"""Dirichlet parameter: most shoppers care for two or three categories."""
TASTE_FLOOR = 0.05
"""Share of a shopper's interest that is spread over all categories."""
ACTIVITY_LOG_SD = 0.8
LIKED_BRANDS = 0.3


class Shopper:
    """One shopper: fixed tastes, and what they no longer want to see."""

    __slots__ = ("avoided", "id", "known", "liked", "taste_cumulative")

    def __init__(self, shopper_id: str, taste_cumulative: list[float], liked: list[bool]) -> None:
        self.id = shopper_id
        self.taste_cumulative = taste_cumulative
        self.liked = liked
        """By brand number."""
        self.avoided: set[int] = set()
        """Items bought or hidden."""
        self.known = False
        """Whether the shopper has been here before."""

    def draw_category(self, rng: Random) -> int:
        """A category number, with odds by taste."""
        return bisect(self.taste_cumulative, rng.random(), 0, len(self.taste_cumulative) - 1)

    def taste(self) -> NDArray[np.float64]:
        """Odds of each category: shape (n_categories,), sum 1."""
        return np.diff(np.array(self.taste_cumulative), prepend=0.0)


class Crowd:
    """All shoppers, drawn by how active they are."""

    def __init__(self, config: ShopConfig, n_brands: int, rng: np.random.Generator) -> None:
        n = config.n_shoppers
        alpha = np.full(config.n_categories, TASTE_CONCENTRATION)
        taste = (1.0 - TASTE_FLOOR) * rng.dirichlet(alpha, n) + TASTE_FLOOR / config.n_categories
        taste_cumulative = np.cumsum(taste, axis=1)
        taste_cumulative[:, -1] = 1.0
        liked = rng.random((n, n_brands)) < LIKED_BRANDS
        width = len(str(n - 1))
        self.shoppers = [
            Shopper(f"shopper-{k:0{width}d}", cumulative, likes)
            for k, cumulative, likes in zip(range(n), taste_cumulative.tolist(), liked.tolist(), strict=True)
        ]
        self.by_id = {shopper.id: shopper for shopper in self.shoppers}
        self._cumulative = list(accumulate(np.exp(ACTIVITY_LOG_SD * rng.standard_normal(n)).tolist()))

    def draw(self, rng: Random) -> Shopper:
        """A shopper, with odds by activity."""
        cumulative = self._cumulative
        return self.shoppers[bisect(cumulative, rng.random() * cumulative[-1], 0, len(cumulative) - 1)]
