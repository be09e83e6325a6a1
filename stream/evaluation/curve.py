"""How the measures move along a log: means over a window of what was scored."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.evaluation.measures import gains
from stream.evaluation.prequential import CUTOFF, Scores

WINDOWS = 10
"""Windows that lie side by side in what was scored: each as sure as a tenth of it can be."""

STEPS = 10
"""Steps in which a window moves on by its own length."""

MEASURES = (f"hr@{CUTOFF}", f"mrr@{CUTOFF}")


class Curve(NamedTuple):
    """Points of a curve; arrays have one entry for each."""

    window: int
    """Scored events in one window."""
    positions: NDArray[np.int64]
    """Events of the log up to the window's end."""
    means: dict[str, NDArray[np.float64]]
    """By each of `MEASURES`."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        means = {name: of.round(5).tolist() for name, of in self.means.items()}
        return {"window": self.window, "positions": self.positions.tolist(), **means}


def curve(scores: Scores) -> Curve:
    """The curve of what was scored, some 90 points."""
    scored = len(scores.rank)
    window = max(scored // WINDOWS, 1)
    ends = np.arange(window, scored + 1, max(window // STEPS, 1))
    found = gains(scores.rank, CUTOFF)
    means = {}
    for name in MEASURES:
        sums = np.concatenate([[0.0], np.cumsum(found[name])])
        means[name] = (sums[ends] - sums[ends - window]) / window
    return Curve(window, scores.position[ends - 1] + 1, means)
