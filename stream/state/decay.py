"""Forward decay: newer counts weigh more, and nothing is ever touched just to age it.

An event at time t adds ``2 ** ((t - landmark) / half_life)``; a sum's value at time T is the sum
divided by ``2 ** ((T - landmark) / half_life)`` (Cormode, Shkapenyuk, Srivastava and Xu, 2009).
Sums therefore do not depend on the order of events, up to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel

REBASE_HALF_LIVES = 64
"""Spacing of landmarks. float32 ends at 2**127, which leaves 2**63 for the sums themselves."""


@dataclass(slots=True)
class Decay:
    """A half-life and its landmark.

    Landmarks lie on a fixed grid, the same for every worker, and move by whole multiples of
    `REBASE_HALF_LIVES` half-lives: sums are rescaled by an exact power of two, which changes no digit.
    """

    half_life_ms: float
    landmark_ms: float = math.nan

    def gain(self, ts_ms: float) -> float:
        """What one event at `ts_ms` adds."""
        return math.exp2((ts_ms - self.landmark_ms) / self.half_life_ms)

    def advance(self, clock_ms: float) -> float:
        """Move the landmark if `clock_ms` is far beyond it; the factor for all sums (1.0: none)."""
        spacing_ms = REBASE_HALF_LIVES * self.half_life_ms
        landmark_ms = clock_ms // spacing_ms * spacing_ms
        before_ms = landmark_ms if math.isnan(self.landmark_ms) else self.landmark_ms
        self.landmark_ms = max(landmark_ms, before_ms)
        return math.exp2(min(0.0, before_ms - landmark_ms) / self.half_life_ms)


@kernel
def gain_at(
    ts_ms: NDArray[np.int64], landmark_ms: float, half_life_ms: float, out: NDArray[np.float64]
) -> None:
    """`Decay.gain` of many events."""
    for k in range(len(ts_ms)):
        out[k] = 2.0 ** ((ts_ms[k] - landmark_ms) / half_life_ms)
