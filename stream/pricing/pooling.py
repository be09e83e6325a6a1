"""Empirical Bayes: what all items together say about a typical item, from sums that merge in any order.

Each partition of items reduces its posteriors to one `Partial` (plain sums, absolute, so that sending
it twice is harmless); whoever holds the latest partial of every partition turns them into the next
`Prior`. With g = score, M = information, θ₁ = slope and v its variance between items:

::

    μ    ← (M₀ + Σ M)⁻¹ (M₀μ₀ + Σ (g + Mμ))                        generalised least squares
    v    ← (Σ v²g₁²     + 10·.5) / (Σ v M₁₁      + 10)             MacKay's fixed point
    σ_f² ← (Σ σ_f⁴ αᵀRα + 3·.15) / (Σ σ_f² tr(RP) + 3)

Each variance is what was found divided by how much could be found. M₀, μ₀ and the constants stand for
a few imagined items, so that a shop's first sales cannot swing the prior. MacKay, "Bayesian
interpolation", 1992; Patterson & Thompson 1971 (REML).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream.errors import LayoutError
from stream.pricing.demand import Posterior, Prior

START_SLOPES: Final = 10.0
START_BENDS: Final = 3.0
"""Imagined slopes and bends, each perfectly known, behind the starting variances. A shop needs some 500
sales of varied prices to reveal one bend: with 10 a smooth shop would believe in bends for months."""

START_INFORMATION: Final = (0.2, 1.0)
"""M₀, diagonal: base conversion hardly held (sd 2.2 logits), slope held at −2.5 ± 1 until sales speak."""

MIN_SLOPE_VAR: Final = 0.01
MIN_BEND_VAR: Final = 1e-3
"""Below these the spread no longer matters, and C would lose its inverse."""

FIELDS: Final = 1 + 3 + 2 + 2 + 2


@dataclass(frozen=True, slots=True)
class Partial:
    """Sums over the items of one partition that were seen at least once: plain floats, any JSON holds them.

    In order: items; ΣM (level, cross, slope); Σ(g + Mμ) (2); Σv²g₁², ΣvM₁₁; Σσ_f⁴αᵀRα, Σσ_f²tr(RP).

    Raises
    ------
    LayoutError
        If it is not ten finite numbers.
    """

    sums: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.sums) != FIELDS or not all(math.isfinite(value) for value in self.sums):
            raise LayoutError(
                f"a pricing partial must hold {FIELDS} finite numbers, this one is {self.sums!r}: "
                "run one version of stream on all workers."
            )


def partial(posterior: Posterior) -> Partial:
    """Sums over the items of `posterior` that were seen at least once. Under 1 µs an item."""
    seen = posterior.exposures >= 1.0
    prior = posterior.prior
    information = posterior.information[seen]
    score = posterior.score[seen]
    columns = np.column_stack(
        [
            np.ones(len(score)),
            information[:, 0, 0],
            information[:, 0, 1],
            information[:, 1, 1],
            score + information @ np.array(prior.mean),
            (prior.slope_var * score[:, 1]) ** 2,
            prior.slope_var * information[:, 1, 1],
            posterior.bend[seen] * (prior.bend_var**2, prior.bend_var),
        ]
    )
    # fsum rounds once, so that the sums do not depend on the order of the items.
    return Partial(tuple(math.fsum(column) for column in columns.T.tolist()))


def merge(partials: Iterable[Partial]) -> Partial:
    """Sum of partials: the same bits in whatever order they come. None: zeros."""
    rows = [each.sums for each in partials] or [(0.0,) * FIELDS]
    return Partial(tuple(math.fsum(column) for column in zip(*rows, strict=True)))


def prior_from(pooled: Partial) -> Prior:
    """The next prior, from the merged partials of all partitions. Without items it is the starting one."""
    start = Prior()
    items, level, cross, slope, *rest = pooled.sums
    level_pull, slope_pull, slope_found, slope_findable, bend_found, bend_findable = rest
    held = np.array([[level, cross], [cross, slope]]) + np.diag(START_INFORMATION)
    pull = np.array([level_pull, slope_pull]) + np.array(START_INFORMATION) * start.mean
    mean = np.linalg.solve(held, pull) if items else np.array(start.mean)
    slope_var = (slope_found + START_SLOPES * start.slope_var) / (slope_findable + START_SLOPES)
    bend_var = (bend_found + START_BENDS * start.bend_var) / (bend_findable + START_BENDS)
    return Prior(
        mean=(float(mean[0]), float(mean[1])),
        slope_var=max(slope_var, MIN_SLOPE_VAR),
        bend_var=max(bend_var, MIN_BEND_VAR),
    )
