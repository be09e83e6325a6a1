"""The hidden item-to-item structure: what is looked at, and bought, next to what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.simulate.catalogue import Goods

N_SIMILAR = 8
N_COMPLEMENTS = 3
DRIFT_SHARE_WEEKLY = 0.1
"""Share of the items whose neighbours change from one week to the next: old counts go stale."""


def _harmonic(n: int) -> NDArray[np.float64]:
    weight: NDArray[np.float64] = 1.0 / np.arange(1.0, n + 1.0)
    weight /= weight.sum()
    return weight


class Transitions:
    """For each item its similar items (its category's) and complements (two partner categories').

    `similar[i]` lists N_SIMILAR item numbers, `complements[i]` N_COMPLEMENTS; the k-th is chosen with
    the odds `similar_odds[k]`, `complement_odds[k]`, which fall as 1/k and sum to 1.
    """

    def __init__(self, goods: Goods, seed: int) -> None:
        self._goods = goods
        self._seed = seed
        self._week = 0
        n_items, n_categories = len(goods.ids), len(goods.category_names)
        self.similar_odds = _harmonic(N_SIMILAR)
        self.complement_odds = _harmonic(N_COMPLEMENTS)
        self.similar_cumulative: list[float] = np.cumsum(self.similar_odds).tolist()
        self.complement_cumulative: list[float] = np.cumsum(self.complement_odds).tolist()
        self._members = [np.flatnonzero(goods.category == c) for c in range(n_categories)]
        # Square root: popular items are neighbours more often, without swallowing every list.
        self._pull = np.sqrt(goods.appeal)
        self.similar: list[list[int]] = [[] for _ in range(n_items)]
        self.complements: list[list[int]] = [[] for _ in range(n_items)]
        rng = np.random.default_rng((seed, 12))
        for item in range(n_items):
            self._link(item, rng)

    def _link(self, item: int, rng: np.random.Generator) -> None:
        category = int(self._goods.category[item])
        own = self._members[category]
        before, after = category - 1, (category + 1) % len(self._members)
        partners = np.concatenate([self._members[before], self._members[after]])
        self.similar[item] = self._choose(own[own != item], N_SIMILAR, rng)
        self.complements[item] = self._choose(partners, N_COMPLEMENTS, rng)

    def _choose(self, rows: NDArray[np.int64], n: int, rng: np.random.Generator) -> list[int]:
        # Gumbel's trick: the n largest of ln(weight) + noise are a weighted draw without replacement.
        keys = np.log(self._pull[rows]) + rng.gumbel(size=len(rows))
        chosen: list[int] = rows[np.argsort(-keys, kind="stable")[:n]].tolist()
        return chosen

    def to_week(self, week: int) -> None:
        """Move on to `week` (weeks after the start): some items get new neighbours."""
        while self._week < week:
            self._week += 1
            rng = np.random.default_rng((self._seed, 13, self._week))
            for item in np.flatnonzero(rng.random(len(self.similar)) < DRIFT_SHARE_WEEKLY).tolist():
                self._link(item, rng)
