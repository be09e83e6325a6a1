"""Forward decay: newer counts weigh more, and nothing is ever touched just to age it.

An event at time t adds ``2 ** ((t - landmark) / half_life)``; a sum's value at time T is the sum
divided by ``2 ** ((T - landmark) / half_life)`` (Cormode, Shkapenyuk, Srivastava and Xu, 2009).
Sums therefore do not depend on the order of events, up to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

REBASE_HALF_LIVES = 64
"""How far the landmark may lag. float32 ends at 2**127, which leaves 2**63 for the sums themselves."""


@dataclass(slots=True)
class Decay:
    """A half-life and its landmark.

    The landmark only moves by `REBASE_HALF_LIVES` half-lives at once, so sums are rescaled by an
    exact power of two: rebasing changes no digit.
    """

    half_life_ms: float
    landmark_ms: float = math.nan

    def gain(self, ts_ms: float) -> float:
        """What one event at `ts_ms` adds."""
        return math.exp2((ts_ms - self.landmark_ms) / self.half_life_ms)

    def advance(self, clock_ms: float) -> float:
        """Move the landmark if `clock_ms` is far beyond it; the factor for all sums (1.0: none)."""
        if math.isnan(self.landmark_ms):
            self.landmark_ms = clock_ms
            return 1.0
        steps = int((clock_ms - self.landmark_ms) / self.half_life_ms) // REBASE_HALF_LIVES
        if steps <= 0:
            return 1.0
        self.landmark_ms += steps * REBASE_HALF_LIVES * self.half_life_ms
        return math.exp2(-steps * REBASE_HALF_LIVES)
