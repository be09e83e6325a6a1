"""The ladder: nine price steps around an item's reference price, evenly spaced in log price.

Every item's demand is estimated on the same nine rungs, so that items of any price can share what is
learnt. Counts are kept at the prices that were really shown; they are put on the rungs when a decision
is made, so a changed list price moves the ladder and loses nothing.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RUNGS: Final = 9
"""Steps of 5.2 %: finer ones cannot be told apart at shop conversion rates, coarser ones overshoot."""

LOWEST_RATIO: Final = 0.8
HIGHEST_RATIO: Final = 1.2
"""Ends of the ladder relative to the reference: also the rails of an item without floor and ceiling."""

LOG_RUNGS: Final[Floats] = np.linspace(math.log(LOWEST_RATIO), math.log(HIGHEST_RATIO), RUNGS)
"""x_k = ln(price of rung k / reference price), ascending, shape (RUNGS,)."""

LOG_STEP: Final = float(LOG_RUNGS[1] - LOG_RUNGS[0])

EDGE: Final = 0.25
"""Prices up to a quarter step (1.3 %) outside the ladder count for its end, which rounding may cause.
What was sold at prices further out says little about demand inside."""

MOST_VIEWS: Final = 1e7
"""More at one price are scaled down to this: demand is known, and arithmetic keeps its digits."""


def rung_prices(reference_minor: Ints) -> Floats:
    """Unrounded prices of the rungs in minor units, shape (N, RUNGS); references must be positive."""
    return np.asarray(reference_minor[:, None] * np.exp(LOG_RUNGS), dtype=np.float64)


def position(price_minor: Ints | Floats, reference_minor: Ints) -> Floats:
    """Where prices lie on their item's ladder, in rungs: 0 is the lowest rung, RUNGS − 1 the highest.

    `price_minor` has shape (N,) or (N, S). Prices and references below 1 give NaN.
    """
    reference = reference_minor.reshape(reference_minor.shape + (1,) * (price_minor.ndim - 1))
    known = (price_minor >= 1) & (reference >= 1)
    ratio = np.where(known, price_minor, 1) / np.where(known, reference, 1)
    return np.asarray(np.where(known, (np.log(ratio) - LOG_RUNGS[0]) / LOG_STEP, np.nan), dtype=np.float64)


def weights(at: Floats) -> Floats:
    """Linear interpolation weights of ladder positions, shape (..., RUNGS), clipped to the ladder's ends.

    Rows sum to 1, those of NaN positions to 0.
    """
    inside = np.clip(at, 0.0, RUNGS - 1.0)[..., None]
    return np.nan_to_num(np.maximum(0.0, 1.0 - np.abs(inside - np.arange(RUNGS))), nan=0.0)


def usable(at: Floats, exposures: Floats, purchases: Floats) -> tuple[Floats, Floats]:
    """Counts, (N, S), that can be believed: (exposures, purchases) at positions `at`, both (N, S).

    Counts off the ladder, not finite or negative become 0, and purchases never exceed exposures: a sale
    that nobody was seen looking at says nothing about how many look and do not buy.
    """
    inside = (at >= -EDGE) & (at <= RUNGS - 1 + EDGE)
    seen = np.where(inside & np.isfinite(exposures) & (exposures > 0.0), exposures, 0.0)
    bought = np.where(np.isfinite(purchases) & (purchases > 0.0), purchases, 0.0)
    scale = np.minimum(1.0, MOST_VIEWS / np.maximum(seen, 1.0))
    return seen * scale, np.minimum(bought, seen) * scale
