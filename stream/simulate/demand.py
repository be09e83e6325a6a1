"""The true demand curve of every item, which nobody but the simulator knows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SLOPE_MEAN = 3.0
"""Mean price slope of the logit: at these conversions about the elasticity, a usual figure in retail."""
SLOPE_SD = 0.4
SLOPE_RANGE = (2.2, 3.8)
"""Below 2 the best price runs away from the cost, above 4 there is no margin left to find."""
CONVERSION_RANGE = (0.03, 0.08)
"""Share of product views that end in a purchase, at the best price: the usual band of web shops."""
PRICE_MEDIAN = 40.0
PRICE_LOG_SD = 0.6


class Demand:
    """Logit demand: ``P(buy | view at price p) = sigmoid(a_i - b_i ln(p / r_i))``.

    `r_i` is the item's reference price in minor units; `b_i` its slope. Arrays have shape (n_items,).
    """

    def __init__(self, n_items: int, rng: np.random.Generator) -> None:
        self.reference_minor: NDArray[np.float64] = np.round(
            100.0 * PRICE_MEDIAN * np.exp(PRICE_LOG_SD * rng.standard_normal(n_items))
        ).clip(500.0, 30_000.0)
        self.slope: NDArray[np.float64] = rng.normal(SLOPE_MEAN, SLOPE_SD, n_items).clip(*SLOPE_RANGE)
        low, high = np.log(CONVERSION_RANGE)
        self.at_reference: NDArray[np.float64] = np.exp(rng.uniform(low, high, n_items))
        intercept = np.log(self.at_reference / (1.0 - self.at_reference))
        # sigmoid(a - b ln(p/r)) = 1 / (1 + exp(b ln p - (a + b ln r))): one constant an item suffices.
        self._shift: list[float] = (intercept + self.slope * np.log(self.reference_minor)).tolist()
        self._slope: list[float] = self.slope.tolist()

    def cost_minor(self) -> NDArray[np.int64]:
        """Unit costs for which the reference price earns most.

        The first-order condition of ``(p - c) q(p)`` under this curve is ``p - c = p / (b (1 - q))``.
        """
        margin = 1.0 / (self.slope * (1.0 - self.at_reference))
        return np.round(self.reference_minor * (1.0 - margin)).astype(np.int64)

    def conversion(self, item: int, price_minor: float) -> float:
        """Probability that one view of `item` at this price ends in a purchase of it."""
        return 1.0 / (1.0 + math.exp(self._slope[item] * math.log(price_minor) - self._shift[item]))

    def optimum_minor(self, item: int, cost_minor: int, floor_minor: int, ceiling_minor: int) -> int:
        """The price of highest expected profit a view, found by trying every cent of the range."""
        prices = np.arange(floor_minor, ceiling_minor + 1, dtype=np.float64)
        conversion = 1.0 / (1.0 + np.exp(self._slope[item] * np.log(prices) - self._shift[item]))
        return floor_minor + int(np.argmax((prices - cost_minor) * conversion))
