"""How much each item attracts today: a heavy tail, trends that come and go, launches."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random

import numpy as np
from numpy.typing import NDArray

from stream.simulate.catalogue import Goods

TREND_MEMORY = 0.93
TREND_STEP_SD = 0.13
"""Daily AR(1) of the log attraction: a trend lasts about two weeks and has a standard deviation of .35."""
LAUNCH_BOOST = 2.0
LAUNCH_DAYS = 10.0
"""A new item attracts three times as much at first; the extra fades with this time constant in days."""


class Popularity:
    """Today's attraction of every item (shape (n_items,); 0 before its launch) and draws from it."""

    def __init__(self, goods: Goods, seed: int) -> None:
        self._goods = goods
        self._seed = seed
        self._day = -1
        self._log_trend: NDArray[np.float64] = np.zeros(len(goods.ids))
        self._members = [np.flatnonzero(goods.category == c) for c in range(len(goods.category_names))]
        self._members_list: list[list[int]] = [rows.tolist() for rows in self._members]
        self.weight: NDArray[np.float64] = np.zeros(len(goods.ids))
        self.on_sale: list[bool] = []
        self._cumulative: list[float] = []
        self._cumulative_in: list[list[float]] = []
        self.to_day(0)

    def to_day(self, day: int) -> None:
        """Move on to `day` (days after the start), one day's trend at a time. Cost: ~100 µs a day."""
        if day <= self._day:
            return
        while self._day < day:
            self._day += 1
            noise = np.random.default_rng((self._seed, 11, self._day)).standard_normal(len(self._log_trend))
            self._log_trend = TREND_MEMORY * self._log_trend + TREND_STEP_SD * noise
        goods = self._goods
        age_days = self._day - goods.release_day
        launch = LAUNCH_BOOST * np.exp(-age_days.clip(0) / LAUNCH_DAYS) * (goods.release_day > 0)
        self.weight = goods.appeal * np.exp(self._log_trend) * (1.0 + launch) * (age_days >= 0)
        self.on_sale = (age_days >= 0).tolist()
        self._cumulative = list(accumulate(self.weight.tolist()))
        self._cumulative_in = [list(accumulate(self.weight[rows].tolist())) for rows in self._members]

    def draw(self, rng: Random) -> int:
        """An item, with odds by attraction."""
        cumulative = self._cumulative
        return bisect(cumulative, rng.random() * cumulative[-1], 0, len(cumulative) - 1)

    def draw_in(self, category: int, rng: Random) -> int:
        """An item of `category`, with odds by attraction."""
        cumulative = self._cumulative_in[category]
        rank = bisect(cumulative, rng.random() * cumulative[-1], 0, len(cumulative) - 1)
        return self._members_list[category][rank]

    def top_in(self, category: int, n: int) -> list[int]:
        """The `n` most attractive items of `category`: what its first page shows."""
        rows = self._members[category]
        top: list[int] = rows[np.argsort(-self.weight[rows], kind="stable")[:n]].tolist()
        return top
